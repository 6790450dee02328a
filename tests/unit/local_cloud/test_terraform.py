"""Terraform: found or fetched and checked, its provider found, its progress read, its state never stale."""

import hashlib
import io
import json
import urllib.error
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from local_cloud import provider_source, terraform_binary
from local_cloud.emulator import Emulator
from local_cloud.errors import LocalCloudError
from local_cloud.layout import StateDir
from local_cloud.provider_source import ProviderSource, cli_configuration, find_mirror
from local_cloud.terraform import ApplyProgress, Deployer
from local_cloud.terraform_binary import PINNED, SHA256, Terraform, fetch_pinned

HOST = "registry.terraform.io"


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def script(version: str) -> bytes:
    return f"#!/bin/sh\necho 'Terraform v{version}'\n".encode()


def test_a_fetched_release_is_checked_and_only_its_executable_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = archive(terraform=script(PINNED), **{"..__..__evil": b"x", "LICENSE.txt": b"x"})
    monkeypatch.setitem(SHA256, "linux_amd64", hashlib.sha256(sent).hexdigest())
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return sent

    fetch_pinned(tmp_path / "tools", fetch, "linux_amd64")
    assert asked == [f"https://releases.hashicorp.com/terraform/{PINNED}/terraform_{PINNED}_linux_amd64.zip"]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["terraform"]
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(terraform_binary.shutil, "which", lambda _: None)
    found = terraform_binary.find(tmp_path / "tools")
    assert found is not None
    assert found.name == f"terraform {PINNED}"


def test_a_release_with_another_sum_is_not_unpacked(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="not the pinned one"):
        fetch_pinned(tmp_path / "tools", lambda _: archive(terraform=script(PINNED)), "linux_amd64")
    assert not (tmp_path / "tools").exists()


def test_where_the_network_refuses_the_message_says_what_to_install(tmp_path: Path) -> None:
    def refuse(_: str) -> bytes:
        raise urllib.error.URLError("no route to host")

    with pytest.raises(LocalCloudError, match=r"no route to host.*Install Terraform 1\.11 or later"):
        fetch_pinned(tmp_path, refuse, "linux_amd64")


def test_plain_http_is_refused() -> None:
    with pytest.raises(LocalCloudError, match="HTTPS"):
        terraform_binary.download("http://releases.hashicorp.com/x")


def test_a_sum_is_pinned_for_each_platform_and_no_two_are_alike() -> None:
    assert set(SHA256) == {"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"}
    assert len(set(SHA256.values())) == 4
    assert all(len(bytes.fromhex(digest)) == 32 for digest in SHA256.values())


def test_a_version_that_is_too_old_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform_binary.shutil, "which", lambda _: None)
    for name, version in (("terraform", "1.10.5"), ("tofu", "1.11.0")):
        (tmp_path / name).write_bytes(script(version))
        (tmp_path / name).chmod(0o755)
    found = terraform_binary.find(tmp_path)
    assert found is not None
    assert found.name == "tofu 1.11.0"


def mirror(place: Path, *entries: str, host: str = HOST) -> Path:
    for entry in entries:
        (place / host / "hashicorp" / "aws" / entry).mkdir(parents=True)
    return place


def test_the_first_mirror_with_a_usable_version_is_taken(tmp_path: Path) -> None:
    old = mirror(tmp_path / "old", "5.99.0", "6.0.0", "index.json")
    unpacked = mirror(tmp_path / "unpacked", "5.100.0")
    packed = mirror(tmp_path / "packed", "terraform-provider-aws_5.101.0_linux_amd64.zip")
    assert find_mirror([tmp_path / "none", old, unpacked, packed], HOST) == unpacked
    assert find_mirror([old, packed], HOST) == packed
    assert find_mirror([old], HOST) is None
    assert find_mirror([unpacked], "registry.opentofu.org") is None


def test_without_registry_and_mirror_the_message_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_source, "registry_answers", lambda _: False)
    monkeypatch.setattr(provider_source, "mirror_places", list)
    with pytest.raises(LocalCloudError, match=provider_source.MIRROR_VARIABLE):
        provider_source.choose(Terraform(Path("/bin/terraform"), (1, 11, 4)))


def test_the_registry_is_preferred_where_it_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(provider_source, "registry_answers", lambda _: True)
    monkeypatch.setenv(provider_source.MIRROR_VARIABLE, str(mirror(tmp_path, "5.100.0")))
    assert provider_source.choose(Terraform(Path("/bin/terraform"), (1, 11, 4))).mirror is None


def test_a_mirror_serves_the_provider_and_the_registry_all_else() -> None:
    text = cli_configuration(ProviderSource(Path("/some where/mirror")), HOST, Path("/cache"))
    assert 'path    = "/some where/mirror"' in text
    assert text.count('["registry.terraform.io/hashicorp/aws"]') == 2
    assert "plugin_cache_dir" not in text
    assert 'plugin_cache_dir = "/cache"' in cli_configuration(ProviderSource(None), HOST, Path("/cache"))


def test_progress_counts_resources_and_not_data_sources() -> None:
    progress = ApplyProgress()
    lines: list[dict[str, object]] = [
        {"type": "version"},
        {"type": "change_summary", "changes": {"add": 2, "change": 1, "remove": 0, "operation": "plan"}},
        {"type": "apply_complete", "hook": {"action": "read"}},
        {"type": "apply_complete", "hook": {"action": "create"}},
        {"type": "apply_complete", "hook": {"action": "update"}},
    ]
    for line in lines:
        progress.read(json.dumps(line))
    progress.read("not json")
    assert progress.text() == "2 of 3 resources"


def test_errors_are_kept_with_their_address_and_bounded() -> None:
    progress = ApplyProgress()
    for number in range(9):
        diagnostic = {"address": f"aws_sqs_queue.q[{number}]", "summary": "refused", "detail": "because\nof this"}
        progress.read(json.dumps({"type": "diagnostic", "@level": "error", "diagnostic": diagnostic}))
    assert list(progress.errors)[-1] == "aws_sqs_queue.q[8]: refused because of this"
    assert len(progress.errors) == 5


def test_state_of_an_emulator_that_is_gone_is_thrown_away(tmp_path: Path) -> None:
    """The emulator forgets everything with its process; a plan against the old state would find nothing."""
    state = StateDir(tmp_path)
    emulator = Emulator("ministack", "http://127.0.0.1:1", "100:5")

    def dropped(now: Emulator) -> bool:
        return Deployer(state, Terraform(Path("x"), (1, 11)), now, Path("x")).drop_state_of_another_boot()

    assert not dropped(emulator)
    state.terraform_state.write_text("{}")
    assert not dropped(emulator)
    assert state.terraform_state.exists()
    assert dropped(replace(emulator, boot_id="100:6"))
    assert not state.terraform_state.exists()
