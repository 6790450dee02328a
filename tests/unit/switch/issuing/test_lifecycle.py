"""The life of a card."""

import pytest

from switch.issuing.lifecycle import CardStatus, before, may_become


def test_a_card_goes_from_its_order_to_its_first_payment() -> None:
    """Each step leads to the next, and none is left out or turned back."""
    road = [CardStatus.ORDERED, CardStatus.IN_PRODUCTION, CardStatus.READY, CardStatus.ACTIVE]

    for place, status in enumerate(road):
        allowed = [later for later in road if may_become(status, later)]
        assert allowed == road[place + 1 : place + 2]


@pytest.mark.parametrize("status", sorted(set(CardStatus) - {CardStatus.BLOCKED, CardStatus.EXPIRED}))
def test_every_living_card_can_be_blocked_and_expires(status: CardStatus) -> None:
    """A card can be lost on its way to the customer too."""
    assert may_become(status, CardStatus.BLOCKED)
    assert may_become(status, CardStatus.EXPIRED)


@pytest.mark.parametrize("end", [CardStatus.BLOCKED, CardStatus.EXPIRED])
def test_a_dead_card_stays_dead(end: CardStatus) -> None:
    """Nothing wakes it up."""
    assert not any(may_become(end, status) for status in CardStatus)


def test_the_statuses_before_one_are_those_that_lead_to_it() -> None:
    """An UPDATE asks for these, so that two writers cannot undo each other."""
    assert before(CardStatus.READY) == ["in_production"]
    assert before(CardStatus.BLOCKED) == ["active", "in_production", "ordered", "ready"]
