"""A vault in a folder, for one machine without a KMS: benches, tests, the first look at a switch.

Numbers are encrypted as in the table, but the key lies beside them, readable by its owner alone. Who can read the
folder can read the cards: it is no place for real ones.
"""

import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from postrail.adapters.aws.observability import logger
from postrail.domain.errors import Permanent, ReasonCode
from switch.issuing.lookup import KEY_BYTES, HmacPanLookup
from switch.issuing.ports import IssuedCard
from switch.issuing.private_files import write_new
from switch.issuing.vault import seal, unseal


class FileCardVault:
    """`ports.CardVault` in a folder: `vault.key`, and one file for each card."""

    def __init__(self, folder: Path) -> None:
        self._cards = folder / "cards"
        self._data_key = _read_or_make_key(folder / "vault.key")

    def keep(self, cards: Sequence[IssuedCard]) -> None:
        """Keep each card, encrypted. Raises Permanent when a token stands for another number already."""
        for card in cards:
            nonce, sealed = seal(card, self._data_key)
            text = json.dumps({"nonce": nonce.hex(), "sealed": sealed.hex()})
            if write_new(self._cards / f"{card.card_token}.json", text.encode()):
                continue
            if self._read(card.card_token) != card:
                raise Permanent(
                    ReasonCode.INVALID_VALUE, f"the token {card.card_token} stands for another card already"
                )

    def reveal(self, card_token: str) -> IssuedCard | None:
        """The card of a token, None when there is none. Raises Permanent when its file is not authentic."""
        card = self._read(card_token)
        logger.info("card revealed", card_token=card_token, known=card is not None)
        return card

    def _read(self, card_token: str) -> IssuedCard | None:
        if not card_token.isdecimal():
            return None
        try:
            entry = json.loads((self._cards / f"{card_token}.json").read_bytes())
        except FileNotFoundError:
            return None
        return unseal(card_token, self._data_key, bytes.fromhex(entry["nonce"]), bytes.fromhex(entry["sealed"]))


def load_file_lookup(folder: Path) -> HmacPanLookup:
    """The lookup by the key in `lookup.key` of the folder, which is made when there is none."""
    return HmacPanLookup(_read_or_make_key(folder / "lookup.key"))


def load_file_message_key(folder: Path) -> bytes:
    """The key in `messages.key` of the folder, which is made when there is none: it seals messages that wait."""
    return _read_or_make_key(folder / "messages.key")


def _read_or_make_key(path: Path) -> bytes:
    """The key in a file. Of several that make it at a time, one wins."""
    if not path.exists():
        write_new(path, secrets.token_bytes(KEY_BYTES))
    return path.read_bytes()
