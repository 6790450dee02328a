"""The archives that Terraform uploads."""

import tomllib
import zipfile
from pathlib import Path

import pytest
from lambdas import build


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with two functions, a package and configuration."""
    files = {
        "lambdas/enrich/handler.py": "enrich",
        "lambdas/post/handler.py": "post",
        "lambdas/notes/README.md": "no function",
        "source/postrail/__init__.py": "",
        "source/postrail/domain/money.py": "money",
        "source/postrail/__pycache__/money.cpython-313.pyc": "compiled",
        "config/rules/issuer-default.yaml": "rules",
    }
    for name, text in files.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "checkout"


def test_an_archive_holds_its_handler_the_package_and_the_configuration(checkout: Path, tmp_path: Path) -> None:
    """Nothing compiled travels along, and a folder without a handler is no function."""
    archives = build.build_functions(tmp_path / "build", checkout)

    assert [archive.name for archive in archives] == ["enrich.zip", "post.zip"]
    with zipfile.ZipFile(archives[1]) as archive:
        assert archive.namelist() == [
            "config/rules/issuer-default.yaml",
            "handler.py",
            "postrail/__init__.py",
            "postrail/domain/money.py",
        ]
        assert archive.read("handler.py") == b"post"


def test_a_function_of_the_switch_gets_its_package_and_others_do_not(checkout: Path, tmp_path: Path) -> None:
    """A change in the switch deploys the functions that use it, and no others."""
    package = checkout / "switch" / "issuing"
    package.mkdir(parents=True)
    (package / "functions.py").write_text("functions")
    (checkout / "lambdas" / "post" / "handler.py").write_text("from switch.issuing.functions import build\n")

    names = {}
    for path in build.build_functions(tmp_path / "build", checkout):
        with zipfile.ZipFile(path) as archive:
            names[path.name] = archive.namelist()

    assert "switch/issuing/functions.py" in names["post.zip"]
    assert not any(name.startswith("switch/") for name in names["enrich.zip"])


def test_equal_sources_give_equal_bytes_whenever_they_were_written(checkout: Path, tmp_path: Path) -> None:
    """Terraform deploys by hash: a fresh clone must not deploy what already runs."""
    first = build.build_functions(tmp_path / "first", checkout)
    for path in checkout.rglob("*.py"):
        path.touch(mode=0o600)
    second = build.build_functions(tmp_path / "second", checkout)

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_change_in_one_handler_changes_its_archive_alone(checkout: Path, tmp_path: Path) -> None:
    """A deployment touches what changed."""
    before = {path.name: path.read_bytes() for path in build.build_functions(tmp_path / "build", checkout)}
    (checkout / "lambdas" / "post" / "handler.py").write_text("post, better")
    after = {path.name: path.read_bytes() for path in build.build_functions(tmp_path / "build", checkout)}

    assert [name for name in before if before[name] != after[name]] == ["post.zip"]


def test_a_checkout_without_functions_is_an_error(tmp_path: Path) -> None:
    """An empty deployment is a mistake, not a success."""
    with pytest.raises(build.BuildError, match=r"handler\.py"):
        build.build_functions(tmp_path / "build", tmp_path)


def test_the_layer_leaves_out_what_the_runtime_has() -> None:
    """A package goes with its hashes and its notes; its neighbours stay."""
    lock = (
        "# made by\nboto3==1.40.0 \\\n    --hash=sha256:aa\n    # via postrail\nlxml==6.1.3 \\\n    --hash=sha256:bb\n"
    )

    assert build.layer_requirements(lock) == "# made by\nlxml==6.1.3 \\\n    --hash=sha256:bb\n"


def test_the_layers_lock_names_every_dependency_of_the_project() -> None:
    """A dependency added to the project and not to the layer would fail at its first import in an account."""
    project = tomllib.loads((build.CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {dependency.partition(">")[0].partition("[")[0].strip() for dependency in project["dependencies"]}
    locked = {
        line.partition("==")[0] for line in build.LAYER_LOCK.read_text(encoding="utf-8").splitlines() if "==" in line
    }

    assert wanted <= locked


def test_every_function_of_the_checkout_has_a_queue_or_a_schedule_in_terraform() -> None:
    """Terraform names its archives by the folders under lambdas/."""
    terraform = "".join(path.read_text(encoding="utf-8") for path in (build.CHECKOUT / "terraform").rglob("*.tf"))

    assert [name for name in build.function_names() if f'= "{name}"' not in terraform] == []


def test_the_layer_holds_the_roots_of_the_ledgers_database(tmp_path: Path) -> None:
    """Functions find them at /opt/ledger-ca.pem, whichever packages there are."""
    lock = tmp_path / "lock"
    lock.write_text("", encoding="utf-8")
    pem = b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
    roots = build.read_ledger_ca("rds", fetch=lambda url: pem if url == build.RDS_ROOTS else b"")
    archive = build.build_layer(tmp_path, python="3.13", arch="arm64", lock=lock, ledger_ca=roots)
    with zipfile.ZipFile(archive) as opened:
        assert opened.read("ledger-ca.pem") == pem


@pytest.mark.parametrize(
    "text", ["<html>", "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"], ids=["html", "key"]
)
def test_what_is_no_bundle_of_certificates_is_refused(tmp_path: Path, text: str) -> None:
    given = tmp_path / "roots.pem"
    given.write_text(text, encoding="utf-8")
    with pytest.raises(build.BuildError, match="no bundle"):
        build.read_ledger_ca(str(given))


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(build.BuildError, match=r"nowhere\.pem"):
        build.read_ledger_ca(str(tmp_path / "nowhere.pem"))
