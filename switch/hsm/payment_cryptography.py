"""PINs in AWS Payment Cryptography: a PIN and the keys over it never enter this process.

Keys for messages' codes are another matter: a code is made and checked for every message, and a call to the module
takes milliseconds. Links keep these keys themselves; they come from the secret that names the others' ARNs, as bytes.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws.clients import error_code
from postrail.domain.errors import Retryable
from switch.hsm.key_ring import Key, KeyKind, KeyRing, asked_for_pins
from switch.hsm.pin_blocks import check_shape
from switch.hsm.ports import INVALID_BLOCK, KEY_UNUSABLE, PinRefused
from switch.hsm.software import VERIFICATION_KEY
from switch.hsm.verification_values import split_reference

T = TypeVar("T")

CALLS_AT_ONCE_MAX: Final = 32
_WRONG_SETUP: Final = frozenset({"AccessDeniedException", "ResourceNotFoundException"})
_TRANSLATION: Final = {KeyKind.TDES: "IsoFormat0", KeyKind.AES: "IsoFormat4"}
_FORMAT: Final = {KeyKind.TDES: "ISO_FORMAT_0", KeyKind.AES: "ISO_FORMAT_4"}


class PaymentCryptographyHsm:
    """Fills `switch.hsm.ports.Hsm` by the data plane of AWS Payment Cryptography.

    `client` is boto3's `payment-cryptography-data`; calls run in threads of their own, at most CALLS_AT_ONCE_MAX at
    once. An `aes:` before an ARN says that blocks under that key are of format 4.
    """

    def __init__(
        self, client: Any, keys: KeyRing, *, verification_key: str = VERIFICATION_KEY, verification_index: int = 1
    ) -> None:
        self._client = client
        self._keys = keys
        self._verification_key = verification_key
        self._verification_index = verification_index
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE_MAX, thread_name_prefix="hsm")

    async def translate_pin(self, block: str, pan: str, *, from_key: str, to_key: str) -> str:
        """The block under another zone key, in the format of that key's kind. See the port."""
        with asked_for_pins():
            source, target = self._keys.find(from_key), self._keys.find(to_key)
            arns = {"IncomingKeyIdentifier": source.need_arn(), "OutgoingKeyIdentifier": target.need_arn()}
        check_shape(block, pan, source)
        request = {
            **arns,
            "IncomingTranslationAttributes": {_TRANSLATION[source.kind]: {"PrimaryAccountNumber": pan}},
            "OutgoingTranslationAttributes": {_TRANSLATION[target.kind]: {"PrimaryAccountNumber": pan}},
            "EncryptedPinBlock": block,
        }
        answer = await self._ask(lambda: self._client.translate_pin_data(**request))
        return str(answer["PinBlock"]).upper()

    async def verify_pin(self, block: str, pan: str, *, key: str, reference: str) -> bool:
        """Whether the block holds the PIN of the reference. See the port."""
        with asked_for_pins():
            index, value = split_reference(reference)
            zone, verification = self._keys_of(key)
        request = {
            **_about(block, pan, zone),
            "VerificationKeyIdentifier": verification,
            "VerificationAttributes": {"VisaPin": {"PinVerificationKeyIndex": index, "VerificationValue": value}},
            "EncryptedPinBlock": block,
        }
        try:
            await self._ask(lambda: self._client.verify_pin_data(**request))
        except _WrongPin:
            return False
        return True

    async def make_pin_reference(self, block: str, pan: str, *, key: str) -> str:
        """The reference of a new PIN. See the port."""
        index = self._verification_index
        with asked_for_pins():
            zone, verification = self._keys_of(key)
        request = {
            **_about(block, pan, zone),
            "GenerationKeyIdentifier": verification,
            "GenerationAttributes": {
                "VisaPinVerificationValue": {"EncryptedPinBlock": block, "PinVerificationKeyIndex": index}
            },
        }
        answer = await self._ask(lambda: self._client.generate_pin_data(**request))
        return f"{index}{answer['PinData']['VerificationValue']}"

    async def mac_key(self, name: str) -> bytes:
        """The bytes of a key of a link. See the port; a key given as an ARN stays in the module and is refused."""
        return self._keys.find(name).need_material()

    def close(self) -> None:
        """End the threads; calls that are on their way are waited for."""
        self._threads.shutdown()

    def _keys_of(self, zone: str) -> tuple[Key, str]:
        """The zone key, which the module keeps, and where the issuer's verification key is."""
        key = self._keys.find(zone)
        key.need_arn()
        return key, self._keys.find(self._verification_key).need_arn()

    async def _ask(self, call: Callable[[], T]) -> T:
        """One call in a thread. What AWS says of an error may hold what we sent, so that it is not handed on."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            raise _meaning_of(error) from None
        except BotoCoreError as error:
            raise Retryable(f"the HSM could not be asked: {error_code(error)}") from None


def _about(block: str, pan: str, key: Key) -> dict[str, Any]:
    check_shape(block, pan, key)
    return {"EncryptionKeyIdentifier": key.arn, "PrimaryAccountNumber": pan, "PinBlockFormat": _FORMAT[key.kind]}


class _WrongPin(Exception):
    """The module says that the PIN is another."""


def _meaning_of(error: ClientError) -> Exception:
    code = error_code(error)
    if code == "VerificationFailedException" and error.response.get("Reason", "INVALID_PIN") == "INVALID_PIN":
        return _WrongPin()
    if code in {"VerificationFailedException", "ValidationException"}:
        return PinRefused(INVALID_BLOCK, "the HSM cannot use the PIN block")
    if code in _WRONG_SETUP:
        return PinRefused(KEY_UNUSABLE, f"the HSM does not let us use a key: {code}")
    return Retryable(f"the HSM could not answer: {code}")
