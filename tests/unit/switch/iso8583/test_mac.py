"""Message authentication codes against published vectors."""

import pytest

from switch.iso8583.mac import Mac, MacKind, MacPadding

# RFC 4493, section 4: AES-CMAC with a 128-bit key; the codes here are cut to their first 8 bytes
RFC_4493_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
RFC_4493_MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
RFC_4493_CODES = {
    0: "bb1d6929e95937287fa37d129b756746",
    16: "070a16b46b4d4144f79bdd9dd04a287c",
    40: "dfa66747de9ae63030ca32611497c827",
    64: "51f0bebf7e3b9d92fc49741779363cfe",
}
# ISO/IEC 9797-1:2011, B.4: algorithm 3 with DES
ISO_9797_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")


@pytest.mark.parametrize(("length", "code"), RFC_4493_CODES.items())
def test_cmac_is_that_of_rfc_4493(length: int, code: str) -> None:
    assert Mac(MacKind.CMAC, RFC_4493_KEY).code(RFC_4493_MESSAGE[:length]).hex() == code[:16]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"Now is the time for all ", "a1c72e74ea3fa9b6"), (b"Now is the time for it", "2e2b1428cc78254f")],
)
def test_the_retail_mac_with_padding_method_1_is_that_of_iso_9797_1(data: bytes, code: str) -> None:
    assert Mac(MacKind.RETAIL, ISO_9797_KEY).code(data).hex() == code


def test_the_retail_mac_with_padding_method_2_is_that_of_icao_9303() -> None:
    """ICAO Doc 9303-11, appendix D.3: the MAC over the terminal's answer to the challenge."""
    mac = Mac(MacKind.RETAIL, bytes.fromhex("7962D9ECE03D1ACD4C76089DCE131543"), padding=MacPadding.METHOD_2)
    data = bytes.fromhex("72C29C2371CC9BDB65B779B8E8D37B29ECC154AA56A8799FAE2F498F76ED92F2")
    assert mac.code(data).hex().upper() == "5F1448EEA8AD90A7"


def test_a_message_of_one_block_is_macced_too() -> None:
    """Bouncy Castle's vector has two blocks; one block has no chain before it."""
    key = bytes.fromhex("7CA110454A1A6E570131D9619DC1376E")
    assert Mac(MacKind.RETAIL, key).code(b"Hello World !!!!").hex().upper() == "F09B856213BAB83B"
    assert Mac(MacKind.RETAIL, key).code(b"one") == Mac(MacKind.RETAIL, key).code(b"one\x00")
    assert Mac(MacKind.RETAIL, key).code(b"") == Mac(MacKind.RETAIL, key).code(b"\x00")


def test_padding_methods_differ_even_for_whole_blocks() -> None:
    first, second = (Mac(MacKind.RETAIL, ISO_9797_KEY, padding=padding) for padding in MacPadding)
    assert first.code(b"8 bytes!") != second.code(b"8 bytes!")


@pytest.mark.parametrize("kind", list(MacKind))
def test_only_the_right_code_fits(kind: MacKind) -> None:
    mac = Mac(kind, ISO_9797_KEY)
    code = mac.code(b"message")
    assert mac.fits(b"message", code)
    assert not mac.fits(b"message", bytes(8))
    assert not mac.fits(b"message", code[:4])
    assert not mac.fits(b"massage", code)


@pytest.mark.parametrize(("kind", "length"), [(MacKind.RETAIL, 8), (MacKind.RETAIL, 24), (MacKind.CMAC, 15)])
def test_a_key_of_another_length_is_refused(kind: MacKind, length: int) -> None:
    with pytest.raises(ValueError, match="key"):
        Mac(kind, bytes(length))


def test_a_key_is_never_printed() -> None:
    assert "0123" not in repr(Mac(MacKind.CMAC, ISO_9797_KEY))
