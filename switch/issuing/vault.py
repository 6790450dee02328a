"""The vault of card numbers: AES-256-GCM under data keys that a KMS key wraps, in one DynamoDB table.

| item | attributes |
|---|---|
| `CARD#<token>` | `data_key` (wrapped), `nonce`, `sealed` (number and expiry), `pan_lookup`, `kept_at` |
| `KEY#lookup#1` | `data_key` (wrapped): the key of `HmacPanLookup` |
| `KEY#messages#1` | `data_key` (wrapped): the key that seals messages which wait in the database |

A data key serves the cards of one call to `keep` and is never stored in clear. Whoever decrypts one must name its
purpose: the purposes are the KMS encryption contexts, so that a role may be allowed the lookup key alone.
"""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postrail.adapters.aws.clients import error_code, retryable
from postrail.adapters.aws.observability import logger
from postrail.domain.errors import Permanent, ReasonCode, Retryable
from postrail.ports import Clock
from switch.issuing.lookup import KEY_BYTES, HmacPanLookup
from switch.issuing.ports import IssuedCard, PanLookup

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CARDS_PURPOSE: Final = {"postrail:purpose": "card-vault"}
LOOKUP_PURPOSE: Final = {"postrail:purpose": "pan-lookup"}
MESSAGES_PURPOSE: Final = {"postrail:purpose": "stored-messages"}
_LOOKUP_ITEM: Final = "KEY#lookup#1"
_MESSAGES_ITEM: Final = "KEY#messages#1"
_NONCE_BYTES: Final = 12
"""NIST SP 800-38D section 8.2.2: random nonces of 96 bits. A data key sees a few cards, far from the bound of 2**32."""


def seal(card: IssuedCard, data_key: bytes) -> tuple[bytes, bytes]:
    """Nonce and ciphertext (with its tag) of a card's number and expiry; bound to the token as associated data."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plain = f"{card.pan}={card.expiry}".encode("ascii")
    return nonce, AESGCM(data_key).encrypt(nonce, plain, card.card_token.encode("ascii"))


def unseal(card_token: str, data_key: bytes, nonce: bytes, sealed: bytes) -> IssuedCard:
    """The card that was sealed for this token. Raises Permanent when key, token and ciphertext do not fit."""
    try:
        plain = AESGCM(data_key).decrypt(nonce, sealed, card_token.encode("ascii"))
    except InvalidTag:
        raise Permanent(ReasonCode.INVALID_VALUE, f"the vault's entry of card {card_token} is not authentic") from None
    pan, _, expiry = plain.decode("ascii").partition("=")
    return IssuedCard(card_token, pan, expiry)


class KmsCardVault:
    """`ports.CardVault` on DynamoDB and KMS. Keeping needs `kms:GenerateDataKey`, revealing `kms:Decrypt`."""

    def __init__(
        self, dynamodb: "DynamoDBClient", kms: Any, *, table: str, key_arn: str, lookup: PanLookup, clock: Clock
    ) -> None:
        self._dynamodb = dynamodb
        self._kms = kms
        self._table = table
        self._key_arn = key_arn
        self._lookup = lookup
        self._clock = clock

    def keep(self, cards: Sequence[IssuedCard]) -> None:
        """Keep each card, encrypted. Keeping one again changes nothing.

        Raises Permanent(INVALID_VALUE) when a token stands for another number already, Retryable when KMS or the
        table do not answer; cards before the one that failed are kept.
        """
        if not cards:
            return
        data_key, wrapped = _new_data_key(self._kms, self._key_arn, CARDS_PURPOSE)
        for card in cards:
            nonce, sealed = seal(card, data_key)
            item = {
                "pk": {"S": f"CARD#{card.card_token}"},
                "data_key": {"B": wrapped},
                "nonce": {"B": nonce},
                "sealed": {"B": sealed},
                "pan_lookup": {"B": self._lookup.lookup(card.pan)},
                "kept_at": {"S": self._clock.now().isoformat(timespec="seconds")},
            }
            if not _put_new(self._dynamodb, self._table, item):
                self._check_same(card)

    def reveal(self, card_token: str) -> IssuedCard | None:
        """The card of a token, None when there is none. The call is logged here, the decryption by CloudTrail.

        Raises Retryable; Permanent when the entry is not authentic.
        """
        item = _get(self._dynamodb, self._table, f"CARD#{card_token}")
        logger.info("card revealed", card_token=card_token, known=item is not None)
        if item is None:
            return None
        data_key = _unwrap(self._kms, self._key_arn, item, CARDS_PURPOSE)
        return unseal(card_token, data_key, bytes(item["nonce"]["B"]), bytes(item["sealed"]["B"]))

    def _check_same(self, card: IssuedCard) -> None:
        """By the hash: the right to keep cards does not need the right to decrypt them."""
        item = _get(self._dynamodb, self._table, f"CARD#{card.card_token}")
        if item is None or bytes(item["pan_lookup"]["B"]) != self._lookup.lookup(card.pan):
            raise Permanent(ReasonCode.INVALID_VALUE, f"the token {card.card_token} stands for another card already")


def load_pan_lookup(
    dynamodb: "DynamoDBClient", kms: Any, *, table: str, key_arn: str, make: bool = False
) -> HmacPanLookup:
    """The lookup by the key in the vault's table; with `make`, the key is made when there is none yet.

    Of several that make one at a time, one wins, and all use its key. Raises Retryable when KMS or the table do not
    answer, or there is no key.
    """
    key = _load_key(
        dynamodb, kms, table=table, key_arn=key_arn, item_key=_LOOKUP_ITEM, purpose=LOOKUP_PURPOSE, make=make
    )
    if key is None:
        msg = f"the table {table} has no lookup key yet: the first card order or the function produce_cards makes it"
        raise Retryable(msg)
    return HmacPanLookup(key)


def load_message_key(dynamodb: "DynamoDBClient", kms: Any, *, table: str, key_arn: str) -> bytes:
    """The 32 bytes that seal messages waiting in the database; made when there are none yet. Raises Retryable."""
    key = _load_key(
        dynamodb, kms, table=table, key_arn=key_arn, item_key=_MESSAGES_ITEM, purpose=MESSAGES_PURPOSE, make=True
    )
    if key is None:
        msg = f"the table {table} did not keep the key of stored messages"
        raise Retryable(msg)
    return key


def _load_key(
    dynamodb: "DynamoDBClient",
    kms: Any,
    *,
    table: str,
    key_arn: str,
    item_key: str,
    purpose: dict[str, str],
    make: bool,
) -> bytes | None:
    item = _get(dynamodb, table, item_key)
    if item is None and make:
        _, wrapped = _new_data_key(kms, key_arn, purpose)
        _put_new(dynamodb, table, {"pk": {"S": item_key}, "data_key": {"B": wrapped}})
        # Of several that make one at a time, one has won: all read it.
        item = _get(dynamodb, table, item_key)
    return None if item is None else _unwrap(kms, key_arn, item, purpose)


def _new_data_key(kms: Any, key_arn: str, purpose: dict[str, str]) -> tuple[bytes, bytes]:
    """A new key, in clear and wrapped."""
    with retryable("making a data key"):
        answer = kms.generate_data_key(KeyId=key_arn, NumberOfBytes=KEY_BYTES, EncryptionContext=purpose)
    return bytes(answer["Plaintext"]), bytes(answer["CiphertextBlob"])


def _unwrap(kms: Any, key_arn: str, item: dict[str, Any], purpose: dict[str, str]) -> bytes:
    with retryable("unwrapping a data key"):
        answer = kms.decrypt(KeyId=key_arn, CiphertextBlob=bytes(item["data_key"]["B"]), EncryptionContext=purpose)
    return bytes(answer["Plaintext"])


def _get(dynamodb: "DynamoDBClient", table: str, key: str) -> dict[str, Any] | None:
    with retryable("reading the card vault"):
        answer = dynamodb.get_item(TableName=table, Key={"pk": {"S": key}}, ConsistentRead=True)
    return answer.get("Item")


def _put_new(dynamodb: "DynamoDBClient", table: str, item: dict[str, Any]) -> bool:
    """Whether the item was new, and is there now."""
    with retryable("writing the card vault"):
        try:
            dynamodb.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return False
    return True
