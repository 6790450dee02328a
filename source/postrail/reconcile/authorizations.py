"""Authorizations for comparison: what each is known by, as the duplicate check would know it."""

from collections.abc import Iterator

from postrail.batch.columns import RowBuilder
from postrail.batch.files import Source, recognise
from postrail.batch.rows import open_rows
from postrail.contracts.payment import Authorization
from postrail.domain.errors import Permanent
from postrail.domain.reconciliation import AuthorizedPayment
from postrail.stages.decode import Refusal, TextDecoder
from postrail.stages.deduplicate import fingerprint_of, payment_key_of


def authorized_payment(authorization: Authorization, *, correlation_id: str, posts: bool) -> AuthorizedPayment:
    """The side's row for one authorization."""
    return AuthorizedPayment(
        payment_id=authorization.payment_id,
        payment_key=payment_key_of(authorization),
        fingerprint=fingerprint_of(authorization),
        amount_minor=authorization.amount_minor,
        currency=authorization.currency,
        acceptor_id=authorization.merchant.acceptor_id,
        correlation_id=correlation_id,
        authorized_at=authorization.authorized_at,
        posts=posts,
    )


class AuthorizationFile:
    """Authorizations in a file of the kinds that `postrail batch run` takes. Rows that are none are counted."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.unreadable = 0

    def payments(self) -> Iterator[AuthorizedPayment]:
        """Every readable authorization. Raises FileUnusable for a file that is none, or breaks off."""
        decoder = TextDecoder(Authorization, "authorization")
        rows = open_rows(self._source, recognise(self._source))
        builder = RowBuilder(rows.header) if rows.header else None
        for _, _, raw in rows.rows():
            line = builder.from_line(raw) if builder else raw
            authorization = None if isinstance(line, Permanent) else decoder.decode(_decoded(line))
            if authorization is None or isinstance(authorization, Refusal):
                self.unreadable += 1
                continue
            yield authorized_payment(authorization, correlation_id="", posts=True)


def _decoded(line: bytes) -> str:
    return line.decode(errors="replace")
