"""Has PINs verified before the decision: the HSM is asked outside of any transaction."""

import asyncio
from typing import Final

from postrail.adapters.postgres.queries import statements
from postrail.domain.errors import Retryable
from switch.bank.decide import PinVerdict
from switch.bank.store import BankDatabase
from switch.bank.work import Asked
from switch.ecosystem import Bank
from switch.hsm.ports import KEY_UNUSABLE, Hsm, PinRefused

_SQL: Final = statements("authorizations.sql", "switch.bank")["find_pin_reference"]
_VERDICTS: Final = {"117": PinVerdict.WRONG, KEY_UNUSABLE: PinVerdict.KEY_UNUSABLE}


class PinChecker:
    """Asks the HSM, a bounded number of times at once."""

    def __init__(self, bank: Bank, database: BankDatabase, hsm: Hsm | None, *, checks_max: int) -> None:
        self._bank = bank
        self._database = database
        self._hsm = hsm
        self._room = asyncio.Semaphore(checks_max)

    async def check(self, asked: Asked) -> PinVerdict:
        """Whether the PIN of a request is its card's. ABSENT of a card that has none to compare with.

        Raises Retryable when it cannot be found out.
        """
        rows = await self._database.fetch(_SQL, self._bank.id, asked.request.pan_lookup)
        if not rows or rows[0]["pin_reference"] is None:
            return PinVerdict.ABSENT
        key = self._bank.listen.pin_key
        if self._hsm is None or key is None:
            raise Retryable("the bank has no HSM, or no key for PIN blocks")
        message = asked.message
        async with self._room:
            try:
                is_right = await self._hsm.verify_pin(
                    message[52], message[2], key=key, reference=rows[0]["pin_reference"]
                )
            except PinRefused as refused:
                return _VERDICTS.get(refused.action_code, PinVerdict.UNUSABLE)
        return PinVerdict.RIGHT if is_right else PinVerdict.WRONG
