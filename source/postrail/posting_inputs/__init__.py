"""The issuing bank's posting input, in two example formats behind one port (`ports.PostingInputFormat`)."""

from collections.abc import Callable
from typing import Final

from postrail.domain.errors import ConfigInvalid
from postrail.ports import PostingInputFormat
from postrail.posting_inputs.fixed_width import FixedWidthPostingInput
from postrail.posting_inputs.json_format import JsonPostingInput

_FORMATS: Final[dict[str, Callable[[], PostingInputFormat]]] = {
    "json": JsonPostingInput,
    "fixed_width": FixedWidthPostingInput,
}


def posting_input_by_name(name: str) -> PostingInputFormat:
    """The format of this name: `json` or `fixed_width`. Raises ConfigInvalid."""
    try:
        return _FORMATS[name]()
    except KeyError:
        msg = f"there is no posting input format {name!r}; there are {', '.join(sorted(_FORMATS))}"
        raise ConfigInvalid(msg) from None


__all__ = ["FixedWidthPostingInput", "JsonPostingInput", "posting_input_by_name"]
