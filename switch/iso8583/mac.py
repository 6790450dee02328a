"""Message authentication codes: DE 64, or 128 when there is a secondary bitmap."""

from enum import StrEnum


class MacKind(StrEnum):
    """The algorithms: ISO/IEC 9797-1 algorithm 3 with DES ("retail MAC"), and CMAC with AES (algorithm 5)."""

    RETAIL = "retail"
    CMAC = "cmac"
