"""Builds what Terraform uploads: an archive for each function, and the layer with the packages they import.

An archive holds the function's handler, the package `postrail` and `config/`, and the package `switch` when the handler
imports it. The same sources give the same bytes, so Terraform, which goes by the hash, deploys only what changed.

The layer comes from `requirements-lambda.lock`: the closure of the project's own dependencies, resolved for the
functions' Python. It leaves out boto3, botocore and s3transfer: the Lambda runtime has them, kept current by AWS, and
they would be the largest part of every cold start. With `--ledger-ca` it also holds the roots that certificates of
databases in RDS lead to, at /opt/ledger-ca.pem: the two functions that go past the proxy verify the database by them.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = CHECKOUT / "build"
LAMBDAS: Final = CHECKOUT / "lambdas"
LAYER_LOCK: Final = CHECKOUT / "requirements-lambda.lock"
LAYER_NAME: Final = "dependencies-layer.zip"

# "Using SSL/TLS to encrypt a connection to a DB cluster", user guide of Amazon Aurora: all regions in one file.
RDS_ROOTS: Final = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
LEDGER_CA_NAME: Final = "ledger-ca.pem"
LEDGER_CA_BYTES_MAX: Final = 2 * 1024 * 1024

IN_RUNTIME: Final = frozenset({"boto3", "botocore", "s3transfer"})
PLATFORMS: Final = {
    # The runtime is Amazon Linux 2023: glibc 2.34.
    "arm64": ("manylinux2014_aarch64", "manylinux_2_28_aarch64", "manylinux_2_34_aarch64"),
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64"),
}

# Lambda's limits: 250 MB for code and layers together, unzipped; 50 MB for an archive sent with the request itself.
LAYER_UNZIPPED_BYTES_MAX: Final = 240 * 1024 * 1024
LAYER_ZIPPED_BYTES_MAX: Final = 50 * 1024 * 1024

_IMPORTS_SWITCH: Final = re.compile(r"^(from|import) switch\b", re.MULTILINE)
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_READABLE: Final = 0o644 << 16
_SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "bin"})
_SKIPPED_FILES: Final = frozenset({"RECORD", "direct_url.json", ".DS_Store", "Dockerfile", "Dockerfile.dockerignore"})


class BuildError(Exception):
    """The archives cannot be built; the message says what to do."""


def function_names(lambdas: Path = LAMBDAS) -> list[str]:
    """The folders under `lambdas` that hold a function, sorted."""
    return sorted(handler.parent.name for handler in lambdas.glob("*/handler.py"))


def files_below(folder: Path) -> Iterator[Path]:
    """Every file of a tree that belongs into an archive, sorted by path; compiled and installer's files do not."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        skipped = path.suffix == ".pyc" or path.name in _SKIPPED_FILES or _SKIPPED_FOLDERS.intersection(inside.parts)
        if path.is_file() and not skipped:
            yield path


def write_archive(target: Path, members: Iterable[tuple[str, Path]]) -> None:
    """Write (name, file) pairs into a zip whose bytes depend on names and contents alone.

    The archive appears whole or not at all: a reader never sees half of it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=target.name)
    os.close(handle)
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, path in sorted(members):
                entry = zipfile.ZipInfo(name, date_time=_EARLIEST)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3  # Unix, wherever it is built: permissions count
                entry.external_attr = _READABLE
                archive.writestr(entry, path.read_bytes())
        Path(partial).chmod(0o644)
        Path(partial).replace(target)
    finally:
        Path(partial).unlink(missing_ok=True)


def build_functions(build: Path = BUILD, checkout: Path = CHECKOUT) -> list[Path]:
    """Build every function's archive and return their paths. Raises BuildError when there is no function."""
    names = function_names(checkout / "lambdas")
    if not names:
        msg = f"no lambdas/<name>/handler.py under {checkout}"
        raise BuildError(msg)
    package, config = checkout / "source" / "postrail", checkout / "config"
    shared = [(f"postrail/{path.relative_to(package).as_posix()}", path) for path in files_below(package)]
    shared += [(f"config/{path.relative_to(config).as_posix()}", path) for path in files_below(config)]
    switch = checkout / "switch"
    of_switch = [(f"switch/{path.relative_to(switch).as_posix()}", path) for path in files_below(switch)]
    archives = []
    for name in names:
        archive, handler = build / f"{name}.zip", checkout / "lambdas" / name / "handler.py"
        needs_switch = _IMPORTS_SWITCH.search(handler.read_text(encoding="utf-8")) is not None
        write_archive(archive, [("handler.py", handler), *shared, *(of_switch if needs_switch else ())])
        archives.append(archive)
    return archives


def layer_requirements(lock: str) -> str:
    """The lock file's text without the packages that the Lambda runtime brings along."""
    kept: list[str] = []
    keeping = True
    for line in lock.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            keeping = line.partition("==")[0].strip().lower() not in IN_RUNTIME
        if keeping:
            kept.append(line)
    return "\n".join(kept) + "\n"


def install(requirements: str, folder: Path, *, python: str, arch: str) -> None:
    """Install locked packages for another machine into `folder`. Raises BuildError when pip cannot."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as lock:
        lock.write(requirements)
        lock.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation", "cp"]
        command += ["--python-version", python, "--target", str(folder), "--requirement", lock.name]
        for platform in PLATFORMS[arch]:
            command += ["--platform", platform]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own arguments
    if done.returncode:
        msg = f"pip cannot install the layer's packages for Python {python} on {arch}:\n{done.stderr.strip()}"
        raise BuildError(msg)


def download(url: str) -> bytes:
    """What an https address holds, up to the bound of a certificate bundle. Raises BuildError."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - https, a constant
            body: bytes = answer.read(LEDGER_CA_BYTES_MAX + 1)
    except (OSError, urllib.error.URLError) as error:
        msg = f"cannot fetch {url}: {error}. Fetch it elsewhere and give it as --ledger-ca FILE."
        raise BuildError(msg) from error
    return body


def read_ledger_ca(source: str, fetch: Callable[[str], bytes] = download) -> bytes:
    """The roots by which the ledger's database is verified: of RDS for `rds`, else of a PEM file.

    Raises BuildError when they cannot be had, or hold no certificates, or a private key.
    """
    try:
        text = fetch(RDS_ROOTS) if source == "rds" else Path(source).read_bytes()
    except OSError as error:
        msg = f"cannot read {source}: {error}"
        raise BuildError(msg) from error
    if len(text) > LEDGER_CA_BYTES_MAX or b"-----BEGIN CERTIFICATE-----" not in text or b"PRIVATE KEY" in text:
        msg = f"{RDS_ROOTS if source == 'rds' else source} is no bundle of certificates"
        raise BuildError(msg)
    return text


def build_layer(
    build: Path = BUILD, *, python: str, arch: str, lock: Path = LAYER_LOCK, ledger_ca: bytes | None = None
) -> Path:
    """Build the layer for one Python release and instruction set, and return its path.

    `ledger_ca` goes beside the packages. Raises BuildError when a package has no wheel for them, or the layer is larger
    than Lambda takes.
    """
    folder = Path(tempfile.mkdtemp(prefix="postrail-layer-"))
    try:
        install(layer_requirements(lock.read_text(encoding="utf-8")), folder, python=python, arch=arch)
        files = list(files_below(folder))
        unzipped_bytes = sum(path.stat().st_size for path in files)
        archive = build / LAYER_NAME
        members = [(f"python/{path.relative_to(folder).as_posix()}", path) for path in files]
        if ledger_ca is not None:
            roots = folder / LEDGER_CA_NAME
            roots.write_bytes(ledger_ca)
            members.append((LEDGER_CA_NAME, roots))
        write_archive(archive, members)
    finally:
        shutil.rmtree(folder)
    zipped_bytes = archive.stat().st_size
    if unzipped_bytes > LAYER_UNZIPPED_BYTES_MAX or zipped_bytes > LAYER_ZIPPED_BYTES_MAX:
        archive.unlink()
        msg = f"the layer has {unzipped_bytes} bytes, {zipped_bytes} zipped: more than Lambda takes; drop a dependency"
        raise BuildError(msg)
    return archive


def main(arguments: list[str] | None = None) -> int:
    """Build as the command line says. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=BUILD, help="folder of the archives (default: build/)")
    parser.add_argument("--layer", action="store_true", help="build the dependencies layer too")
    parser.add_argument("--python", default="3.13", help="the functions' Python release (default: 3.13)")
    parser.add_argument("--arch", choices=sorted(PLATFORMS), default="arm64", help="instruction set (default: arm64)")
    parser.add_argument("--ledger-ca", metavar="FILE", help="put a PEM file of roots into the layer; rds: those of RDS")
    options = parser.parse_args(arguments)
    try:
        archives = build_functions(options.output)
        if options.layer:
            ledger_ca = read_ledger_ca(options.ledger_ca) if options.ledger_ca else None
            archives.append(build_layer(options.output, python=options.python, arch=options.arch, ledger_ca=ledger_ca))
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for archive in archives:
        sys.stdout.write(f"{archive}  {archive.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
