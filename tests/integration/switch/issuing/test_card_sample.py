"""Sample cards for benches and tests, on a real PostgreSQL."""

from pathlib import Path

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.domain.card import is_card_token, passes_luhn
from switch.ecosystem import load_ecosystem
from switch.issuing.card_sample import make_sample_cards
from switch.issuing.lookup import HmacPanLookup

ECOSYSTEM = load_ecosystem(Path(__file__).parents[4] / "config" / "ecosystem.yaml")


def test_sample_cards_are_known_to_bank_and_network_and_have_money(database: Database) -> None:
    """Each card is found by its number's hash on both sides, ready, with its opening balance available."""
    lookup = HmacPanLookup(bytes(32))
    bank = ECOSYSTEM.bank("northgate")

    cards = make_sample_cards(database, bank=bank, network_id="meridian", lookup=lookup, count=25, balance_minor=10_000)

    assert len({card.pan for card in cards}) == 25
    assert all(passes_luhn(card.pan) and card.pan.startswith("476134") for card in cards)
    assert all(is_card_token(card.card_token) for card in cards)
    for table in ("bank.cards", "network.cards"):
        rows = database.fetch(f"SELECT card_token, pan_lookup, status FROM {table}")
        assert {(row["card_token"], row["pan_lookup"]) for row in rows} == {
            (card.card_token, lookup.lookup(card.pan)) for card in cards
        }
        assert {row["status"] for row in rows} == {"ready"}
    balances = PostgresAccounts(database).read_balances([card.account_id for card in cards])
    assert {(row.available_minor, row.currency, row.overdraft_limit_minor) for row in balances} == {(10_000, "GBP", 0)}
    assert cards[0].pan not in repr(cards[0])
