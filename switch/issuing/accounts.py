"""A bank's customers and their accounts: opened in one transaction with the ledger's, read with their balances."""

from collections.abc import Collection
from typing import Final

import asyncpg

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.contracts.payment import AccountDetails
from postrail.domain.errors import ConfigInvalid, Retryable
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType, account_id_of
from postrail.ports import Clock, IdSource
from postrail.sampling.accounts import system_accounts
from switch.ecosystem import Bank, Ecosystem
from switch.issuing.callers import Caller
from switch.issuing.contracts import AccountCreated, BalanceQuery, BalanceView, CreateAccount
from switch.issuing.iban import AccountNumber, make_account_number, require_known_country
from switch.issuing.refusals import IssuingRefused, Refusal
from switch.issuing.requests import Ask, RequestBook

SQL: Final = statements("bank.sql", "switch.issuing")
ACCOUNTS_PER_CUSTOMER_MAX: Final = 20
_NUMBERS_TRIED_MAX: Final = 10


class BankAccounts:
    """Opens and reads the accounts of the ecosystem's banks; the caller's token says of which."""

    def __init__(
        self,
        database: Database,
        *,
        requests: RequestBook,
        ecosystem: Ecosystem,
        products: Collection[str],
        clock: Clock,
        ids: IdSource,
    ) -> None:
        """`products` are the names of those that an account may have. Raises ConfigInvalid for a country not known."""
        for bank in ecosystem.banks:
            require_known_country(bank)
        self._database = database
        self._ledger = PostgresAccounts(database)
        self._requests = requests
        self._ecosystem = ecosystem
        self._products = products
        self._clock = clock
        self._ids = ids
        self._charted: set[str] = set()

    def bank_of(self, caller: Caller) -> Bank:
        """The caller's bank. Raises IssuingRefused(TOKEN_INVALID) when there is none of this name here."""
        try:
            return self._ecosystem.bank(caller.bank_id)
        except ConfigInvalid:
            raise IssuingRefused(Refusal.TOKEN_INVALID, "the access token names no bank of this ecosystem") from None

    def create(self, ask: Ask[CreateAccount]) -> AccountCreated:
        """Open an account in the bank's currency, for a customer who is new or known.

        Raises IssuingRefused: OPERATOR_ONLY, UNKNOWN_PRODUCT, TOO_MANY_ACCOUNTS, REQUEST_KEY_REUSED; Retryable.
        """
        bank = self.bank_of(ask.caller)
        subject = self._subject(ask.caller, ask.body)
        if ask.body.product not in self._products:
            raise IssuingRefused(Refusal.UNKNOWN_PRODUCT, f"there is no product {ask.body.product}")
        self._open_chart(bank)
        answer, _ = self._requests.once(ask, lambda: self._create(bank, subject, ask), AccountCreated)
        return answer

    def balance(self, ask: Ask[BalanceQuery]) -> BalanceView:
        """What an account has, holds and can spend. Raises IssuingRefused(ACCOUNT_NOT_FOUND) and Retryable."""
        account_id = ask.body.account_id
        self.require(ask.caller, account_id)
        (balance,) = self._ledger.read_balances([account_id])
        return BalanceView(
            account_id=account_id,
            currency=balance.currency,
            status=balance.status.value,
            total_minor=balance.total_minor,
            held_minor=balance.held_minor,
            locked_minor=balance.locked_minor,
            available_minor=balance.available_minor,
            overdraft_limit_minor=balance.overdraft_limit_minor,
            as_of=self._clock.now(),
        )

    def require(self, caller: Caller, account_id: str) -> asyncpg.Record:
        """The account, when the caller may see it. Raises IssuingRefused(ACCOUNT_NOT_FOUND): for strangers too."""
        row = self._database.fetch_one(SQL["read_account"], account_id, caller.bank_id, caller.sees_only)
        if row is None:
            raise IssuingRefused(Refusal.ACCOUNT_NOT_FOUND, f"there is no account {account_id}")
        return row

    @staticmethod
    def _subject(caller: Caller, order: CreateAccount) -> str:
        """Whose account it will be."""
        if caller.is_operator:
            if order.subject is None:
                raise IssuingRefused(Refusal.REQUEST_INVALID, "an operator says in `subject` whose account it is")
            return order.subject
        if order.subject not in {None, caller.subject} or order.opening_balance_minor or order.overdraft_limit_minor:
            detail = "only an operator opens accounts for others, with money on them or with an overdraft"
            raise IssuingRefused(Refusal.OPERATOR_ONLY, detail)
        return caller.subject

    def _open_chart(self, bank: Bank) -> None:
        """The bank's own accounts, which postings in its currency need: once in a process."""
        if bank.currency not in self._charted:
            self._ledger.open_accounts(system_accounts([bank.currency]), clock=self._clock, ids=self._ids)
            self._charted.add(bank.currency)

    def _create(self, bank: Bank, subject: str, ask: Ask[CreateAccount]) -> AccountCreated:
        order = ask.body
        customer = self._database.fetch_one(SQL["know_customer"], self._ids.new_id("cus"), bank.id, subject, order.name)
        if customer is None:
            raise Retryable("the customer could not be written")
        if customer["accounts"] >= ACCOUNTS_PER_CUSTOMER_MAX:
            detail = f"a customer has at most {ACCOUNTS_PER_CUSTOMER_MAX} accounts"
            raise IssuingRefused(Refusal.TOO_MANY_ACCOUNTS, detail)
        account_id, number = self._free_number(bank)
        details = AccountDetails(
            account_id=account_id,
            iban=number.iban,
            sort_code=number.sort_code,
            branch=bank.name,
            holder_name=customer["name"],
            product=order.product,
            currency=bank.currency,
            status=AccountStatus.OPEN.value,
            country=bank.country,
        )
        self._open(details, order)
        key = ":".join(ask.names)
        self._database.execute(
            SQL["add_account"], account_id, customer["customer_id"], bank.id, details.model_dump_json(), key
        )
        return AccountCreated(customer_id=customer["customer_id"], **details.model_dump())

    def _open(self, details: AccountDetails, order: CreateAccount) -> None:
        spec = AccountSpec(
            account_id=details.account_id,
            type=AccountType.CUSTOMER,
            currency=details.currency,
            status=AccountStatus.OPEN,
            name=details.holder_name,
            overdraft_limit_minor=order.overdraft_limit_minor,
        )
        opening = {details.account_id: order.opening_balance_minor} if order.opening_balance_minor else {}
        self._ledger.open_accounts([spec], openings=opening, clock=self._clock, ids=self._ids)

    def _free_number(self, bank: Bank) -> tuple[str, AccountNumber]:
        for _ in range(_NUMBERS_TRIED_MAX):
            number = make_account_number(bank)
            account_id = account_id_of(AccountType.CUSTOMER, f"{bank.id}-{number.number}", bank.currency)
            row = self._database.fetch_one(SQL["is_account"], account_id)
            if row is not None and not row["found"]:
                return account_id, number
        msg = f"bank {bank.id}: no free account number found"
        raise Retryable(msg)
