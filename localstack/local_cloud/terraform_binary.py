"""Finds Terraform or OpenTofu; where neither is installed, fetches one pinned and checked release.

The pinned sums are those of the release's own terraform_1.11.4_SHA256SUMS, written down here: a sums file fetched from
beside the archive would only prove that the download was complete.
"""

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_cloud.errors import LocalCloudError
from local_cloud.layout import CHECKOUT

VERSION_MIN: Final = (1, 11)
PINNED: Final = "1.11.4"
SHA256: Final = {
    "linux_amd64": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
    "linux_arm64": "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633",
    "darwin_amd64": "a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b",
    "darwin_arm64": "867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18",
}
TOOLS: Final = CHECKOUT / ".tools"
_RELEASES: Final = "https://releases.hashicorp.com/terraform"
_ARCHIVE_BYTES_MAX: Final = 200 * 1024 * 1024
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

Fetch = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Terraform:
    """An executable that understands Terraform's configuration language, and its version."""

    path: Path
    version: tuple[int, ...]

    @property
    def name(self) -> str:
        """For people, e.g. `terraform 1.11.4`."""
        return f"{self.path.name} {'.'.join(map(str, self.version))}"


def find(tools: Path = TOOLS) -> Terraform | None:
    """Terraform, else OpenTofu, on PATH, else in the tools folder; None when none is new enough."""
    candidates = [shutil.which("terraform"), shutil.which("tofu"), tools / "terraform", tools / "tofu"]
    for candidate in candidates:
        version = _version(Path(candidate)) if candidate else None
        if candidate and version is not None and version[:2] >= VERSION_MIN:
            return Terraform(Path(candidate), version)
    return None


def find_or_fetch(update: Callable[[str], None], tools: Path = TOOLS) -> Terraform:
    """Find one, or fetch the pinned release into the tools folder. Raises LocalCloudError when neither works."""
    found = find(tools)
    if found is not None:
        return found
    update(f"fetching Terraform {PINNED}")
    fetch_pinned(tools, download, platform_name())
    found = find(tools)
    if found is None:
        msg = f"The fetched Terraform {PINNED} does not run on this machine. {_advice()}"
        raise LocalCloudError(msg)
    return found


def platform_name() -> str:
    """The release's name of this platform, e.g. `linux_amd64`. Raises LocalCloudError where there is no pinned one."""
    name = f"{platform.system().lower()}_{_MACHINES.get(platform.machine().lower(), platform.machine().lower())}"
    if name not in SHA256:
        msg = f"No pinned Terraform for {name}. {_advice()}"
        raise LocalCloudError(msg)
    return name


def fetch_pinned(tools: Path, fetch: Fetch, platform_: str) -> None:
    """Fetch, check and unpack the pinned release. Raises LocalCloudError on refusal or a wrong sum."""
    url = f"{_RELEASES}/{PINNED}/terraform_{PINNED}_{platform_}.zip"
    try:
        archive = fetch(url)
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        msg = f"Terraform could not be fetched from {url} ({reason}). {_advice()}"
        raise LocalCloudError(msg) from error
    digest = hashlib.sha256(archive).hexdigest()
    if digest != SHA256[platform_]:
        msg = f"What {url} sent has SHA-256 {digest}, not the pinned one; nothing was unpacked."
        raise LocalCloudError(msg)
    _unpack(archive, tools)


def download(url: str) -> bytes:
    """Read a URL over HTTPS, bounded in size."""
    if not url.startswith("https://"):
        msg = f"{url} is not HTTPS."
        raise LocalCloudError(msg)
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 (https is checked above)
        data: bytes = answer.read(_ARCHIVE_BYTES_MAX + 1)
    if len(data) > _ARCHIVE_BYTES_MAX:
        msg = f"{url} is larger than expected."
        raise LocalCloudError(msg)
    return data


def _unpack(archive: bytes, tools: Path) -> None:
    """Take the one member that is wanted, by name: nothing else in an archive gets a path here."""
    tools.mkdir(parents=True, exist_ok=True)
    temporary = tools / f".terraform.{os.getpid()}"
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as zipped,
        zipped.open("terraform") as member,
        temporary.open("wb") as file,
    ):
        shutil.copyfileobj(member, file)
    temporary.chmod(0o755)
    temporary.replace(tools / "terraform")


def _version(path: Path) -> tuple[int, ...] | None:
    try:
        answer = subprocess.run(
            [str(path), "version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            # A configuration file that does not exist would only add a warning, and the update check only time.
            env={"PATH": os.environ.get("PATH", ""), "CHECKPOINT_DISABLE": "1", "HOME": os.environ.get("HOME", "/")},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"v(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in match.groups()) if match else None


def _advice() -> str:
    least = ".".join(map(str, VERSION_MIN))
    return (
        f"Install Terraform {least} or later (https://developer.hashicorp.com/terraform/install) "
        f"or OpenTofu {least} or later (https://opentofu.org/docs/intro/install), "
        f"or put the executable at {TOOLS / 'terraform'}."
    )
