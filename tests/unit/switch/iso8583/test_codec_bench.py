"""The codec's bench: what it measures and that it refuses to measure nonsense. No times are compared."""

import pytest

from postrail.bench import codec
from switch.iso8583.message import Message


def test_every_dialect_has_its_rates() -> None:
    report = codec.measure_codec(runs=1, messages=5)
    assert [(each["dialect"], each["mac"]) for each in report["dialects"]] == [
        ("iso8583-1987-ascii", None),
        ("iso8583-1987-binary", None),
        ("iso8583-1993-ascii", None),
        ("iso8583-1993-binary", None),
        ("iso8583-1993-binary", "cmac"),
    ]
    for each in report["dialects"]:
        assert each["encode_per_s"] > 0
        assert each["decode_per_s"] > 0
        assert each["message_bytes"] > 50


def test_times_of_messages_that_are_not_read_as_written_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The 1987 edition has no effective date of the card: a message with one is not read as it was written."""
    message = codec._REQUEST
    monkeypatch.setattr(codec, "_REQUEST", Message(message.mti, message.fields | {13: "2601"}))
    with pytest.raises(codec.CodecCheckFailed, match="1987"):
        codec.measure_codec(runs=1, messages=1)
