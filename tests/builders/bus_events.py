"""Events as EventBridge delivers them: the examples of every contract, and what their schemas make of them."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from postrail.contracts.events import EVENT_TYPES, SOURCE
from postrail.domain.errors import ReasonCode

SCHEMAS: Final = Path(__file__).resolve().parents[2] / "schemas"
EVENTS: Final = Path(__file__).resolve().parents[1] / "events"
DETAIL_TYPES: Final = tuple(event_type.detail_type() for event_type in EVENT_TYPES)

BusEvent = Mapping[str, Any]


def valid_examples(detail_type: str) -> Iterator[tuple[str, BusEvent]]:
    """Every valid example of a contract, with its name.

    Where the data has a reason code, the example comes with each of them: rules look at it.
    """
    folder = SCHEMAS / detail_type / "v1" / "examples" / "valid"
    for path in sorted(folder.glob("*.json")):
        detail = json.loads(path.read_text(encoding="utf-8"))
        yield f"{detail_type}/{path.stem}", envelope(detail_type, detail)
        if "reason_code" in detail["data"]:
            for code in ReasonCode:
                changed = deepcopy(detail)
                changed["data"]["reason_code"] = code.value
                yield f"{detail_type}/{path.stem}/{code.value}", envelope(detail_type, changed)


def envelope(detail_type: str, detail: Mapping[str, Any], *, source: str = SOURCE) -> BusEvent:
    """A detail as EventBridge hands it to a target."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-000000000001",
        "detail-type": detail_type,
        "source": source,
        "account": "111122223333",
        "time": "2026-10-01T09:15:32Z",
        "region": "eu-west-2",
        "resources": [],
        "detail": detail,
    }


def recorded(name: str) -> Any:
    """An event of AWS as it is documented, from tests/events."""
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
