"""Reads YAML configuration: bounded in size, no key twice, and checked against a pydantic model."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from postrail.domain.errors import ConfigInvalid

CONFIG_BYTES_MAX: Final = 1_000_000
"""Largest configuration file that is read."""
_PROBLEMS_SHOWN_MAX: Final = 5


class ConfigModel(BaseModel):
    """Base of configuration models: unknown fields are refused, types are not coerced, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


ModelT = TypeVar("ModelT", bound=ConfigModel)
"""The model that a configuration file must fit."""


class _StrictLoader(yaml.SafeLoader):
    """Refuses a mapping that names one key twice, which YAML forbids and the library lets pass."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                problem = f"the key {key!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_config(path: Path, model: type[ModelT]) -> ModelT:
    """The file's content as `model`. Raises ConfigInvalid, naming the file and up to five places that are wrong."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise ConfigInvalid(msg) from error
    if len(raw) > CONFIG_BYTES_MAX:
        msg = f"{path}: larger than {CONFIG_BYTES_MAX} bytes"
        raise ConfigInvalid(msg)
    try:
        # The loader derives from SafeLoader: it builds plain values only.
        content = yaml.load(raw, Loader=_StrictLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path}: no valid YAML: {error}"
        raise ConfigInvalid(msg) from error
    try:
        # Through JSON, whose strict rules let a list fill a tuple and keep strings strings and integers integers.
        return model.model_validate_json(orjson.dumps(content))
    except orjson.JSONEncodeError as error:
        msg = f"{path}: every key must be text (YAML reads NO, ON and numbers as something else: quote them): {error}"
        raise ConfigInvalid(msg) from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors(include_url=False)]
        more = f" (and {len(problems) - _PROBLEMS_SHOWN_MAX} more)" if len(problems) > _PROBLEMS_SHOWN_MAX else ""
        msg = f"{path}: {'; '.join(problems[:_PROBLEMS_SHOWN_MAX])}{more}"
        raise ConfigInvalid(msg) from error
