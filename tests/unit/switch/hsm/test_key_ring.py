"""Keys are read strictly, and never shown."""

import json

import pytest

from postrail.domain.errors import ConfigInvalid, Permanent
from switch.hsm.key_ring import KeyKind, KeyRing, parse_keys

HEX16 = "0123456789ABCDEFFEDCBA9876543210"
HEX24 = HEX16 + "89ABCDEF01234567"
HEX32 = HEX16 + "00112233445566778899aabbccddeeff"
ARN = "arn:aws:payment-cryptography:eu-west-2:111122223333:key/abcdefgh"


def _parse(**values: object) -> KeyRing:
    return parse_keys(json.dumps(values))


@pytest.mark.parametrize(
    ("text", "kind", "length"),
    [
        (HEX16, KeyKind.TDES, 16),
        (HEX24, KeyKind.TDES, 24),
        (HEX32, KeyKind.AES, 32),
        (f"aes:{HEX16}", KeyKind.AES, 16),
        (f"aes:{HEX24}", KeyKind.AES, 24),
        (f"tdes:{HEX16}", KeyKind.TDES, 16),
        (HEX16.lower(), KeyKind.TDES, 16),
    ],
)
def test_the_kind_of_a_key_is_written_before_it_or_plain_from_its_length(text: str, kind: KeyKind, length: int) -> None:
    key = _parse(zone=text).find("zone")
    assert (key.kind, len(key.need_material())) == (kind, length)


@pytest.mark.parametrize(("text", "kind"), [(ARN, KeyKind.TDES), (f"aes:{ARN}", KeyKind.AES)])
def test_a_key_of_a_module_is_its_arn(text: str, kind: KeyKind) -> None:
    key = _parse(zone=text).find("zone")
    assert (key.need_arn(), key.kind) == (ARN, kind)
    with pytest.raises(Permanent, match="stays in its module"):
        key.need_material()


def test_a_key_given_as_bytes_is_not_in_the_module() -> None:
    with pytest.raises(Permanent, match="give its ARN"):
        _parse(zone=HEX16).find("zone").need_arn()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0123",
        HEX16[:-1],
        HEX16 + "0",
        f"des:{HEX16}",
        f"aes: {HEX16}",
        HEX16.replace("0", "G"),
        f"tdes:{HEX32}",
        "00" * 17,
        12,
        None,
        [HEX16],
        "0123456789ABCDEF0123456789ABCDEF",  # one key twice
        HEX16 + "FEDCBA9876543210",
    ],
)
def test_what_is_no_key_is_refused_by_its_name_and_not_shown(text: object) -> None:
    with pytest.raises(ConfigInvalid, match="zone") as refused:
        _parse(zone=text)
    assert not isinstance(text, str) or len(text) < 8 or text not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["{", "[]", "1", f'{{"zone": "{HEX16}", "zone": "{HEX24}"}}', f'{{"Zone": "{HEX16}"}}']
)
def test_a_text_that_holds_no_keys_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse_keys(text)
    assert HEX16 not in str(refused.value)


def test_nothing_shows_a_key() -> None:
    ring = _parse(zone=HEX16)
    shown = f"{ring!r} {ring.find('zone')!r} {ring.find('zone')}"
    assert HEX16.lower() not in shown.lower()
    assert repr(bytes.fromhex(HEX16)) not in shown


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_without_keys_every_name_is_unknown(text: str) -> None:
    with pytest.raises(Permanent, match="there is no key zone; the keys are: none"):
        parse_keys(text).find("zone")


def test_an_unknown_name_is_told_with_those_that_are_known() -> None:
    with pytest.raises(Permanent, match="there is no key c; the keys are: aa, bb"):
        _parse(bb=HEX16, aa=HEX24).find("c")
