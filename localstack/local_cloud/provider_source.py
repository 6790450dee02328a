"""Where the AWS provider comes from: the registry where it can be reached, else a filesystem mirror on the machine.

The choice becomes a CLI configuration file in the state directory; the user's own is neither needed nor changed.
https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation
"""

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_cloud.errors import LocalCloudError
from local_cloud.layout import CHECKOUT
from local_cloud.terraform_binary import Terraform

MIRROR_VARIABLE: Final = "POSTRAIL_TF_MIRROR"
_PROVIDER: Final = Path("hashicorp") / "aws"
_REACH_TIMEOUT_S: Final = 3.0
_SERIES: Final = "5."
_MINOR_MIN: Final = 100
_PLACES: Final = (
    "~/.terraform.d/plugins",
    "~/.terraform.d/providers",
    "~/.terraform.d/plugin-cache",
    "~/Library/Application Support/io.terraform/plugins",
    "/usr/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/providers",
    "/usr/local/share/terraform/providers",
)
# Looked at one level deep, in name order; that is all the searching there is.
_PARENTS: Final = ("/opt", "/usr/local/share", "/usr/share", "/srv")
_CHILDREN_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class ProviderSource:
    """A mirror folder (the one that holds the host names' folders), or None for the registry."""

    mirror: Path | None

    @property
    def name(self) -> str:
        """For people."""
        return "registry" if self.mirror is None else f"mirror {self.mirror}"


def registry_host(terraform: Terraform) -> str:
    """The host that `hashicorp/aws` means: the two tools have a registry each."""
    return "registry.opentofu.org" if terraform.path.name == "tofu" else "registry.terraform.io"


def choose(terraform: Terraform) -> ProviderSource:
    """The registry where it answers, else a mirror. Raises LocalCloudError when there is neither."""
    host = registry_host(terraform)
    if registry_answers(host):
        return ProviderSource(None)
    mirror = find_mirror(mirror_places(), host)
    if mirror is not None:
        return ProviderSource(mirror)
    msg = (
        f"{host} cannot be reached and no mirror of the AWS provider was found: let this machine reach the registry, "
        f"or run `terraform providers mirror DIR` on one that can and set {MIRROR_VARIABLE}=DIR "
        f"(the folder that holds {host}/{_PROVIDER})."
    )
    raise LocalCloudError(msg)


def registry_answers(host: str) -> bool:
    """Whether the registry's discovery document can be read within a few seconds."""
    try:
        # Resolving first: where there is no name service, this fails at once and not after all retries.
        if not os.environ.get("HTTPS_PROXY") and not os.environ.get("https_proxy"):
            socket.getaddrinfo(host, 443)
        url = f"https://{host}/.well-known/terraform.json"
        with urllib.request.urlopen(url, timeout=_REACH_TIMEOUT_S) as answer:
            return "providers.v1" in json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def mirror_places() -> Iterable[Path]:
    """Folders that may be mirrors, the most explicit first."""
    for variable in (MIRROR_VARIABLE, "TF_PLUGIN_CACHE_DIR"):
        if os.environ.get(variable):
            yield Path(os.environ[variable]).expanduser()
    yield CHECKOUT / ".tools" / "providers"
    for place in _PLACES:
        yield Path(place).expanduser()
    for parent in map(Path, _PARENTS):
        try:
            children = sorted(parent.iterdir())[:_CHILDREN_MAX]
        except OSError:
            continue
        yield from children


def find_mirror(places: Iterable[Path], host: str) -> Path | None:
    """The first place that holds a usable version of the provider for this host."""
    for place in places:
        try:
            if any(_usable(entry) for entry in (place / host / _PROVIDER).iterdir()):
                return place
        except OSError:
            continue
    return None


def _usable(entry: Path) -> bool:
    """Whether an entry of a mirror satisfies `~> 5.100`: an unpacked version's folder, or a packed archive."""
    name = entry.name.removeprefix("terraform-provider-aws_")
    minor = name.removeprefix(_SERIES).split(".", 1)[0]
    return name.startswith(_SERIES) and minor.isdigit() and int(minor) >= _MINOR_MIN


def cli_configuration(source: ProviderSource, host: str, cache: Path) -> str:
    """The text of the CLI configuration file.

    With a mirror, the registry stays allowed for everything that the mirror does not hold. With the registry, packages
    are kept in `cache`: a second state directory does not load them again.
    """
    if source.mirror is None:
        lines = [
            f"plugin_cache_dir = {json.dumps(str(cache))}",
            "plugin_cache_may_break_dependency_lock_file = true",
        ]
    else:
        provider = f"{host}/{_PROVIDER}"
        lines = [
            "provider_installation {",
            "  filesystem_mirror {",
            f"    path    = {json.dumps(str(source.mirror))}",
            f'    include = ["{provider}"]',
            "  }",
            "  direct {",
            f'    exclude = ["{provider}"]',
            "  }",
            "}",
        ]
    return "\n".join(["disable_checkpoint = true", *lines, ""])
