"""How a message's length stands before it on the wire."""

from enum import StrEnum


class FramingKind(StrEnum):
    """The kinds of length header. Lengths count the message alone unless said otherwise."""

    BINARY_2 = "binary_2"
    BINARY_2_INCLUSIVE = "binary_2_inclusive"
    BINARY_4 = "binary_4"
    ASCII_4 = "ascii_4"
    BCD_2 = "bcd_2"
