"""Double entry: balanced legs, directions, missing parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.strategies import amounts_minor, currencies

from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.posting import Direction, Leg, check_balanced, missing_indexes, pair

pairs = st.builds(pair, st.just("customer:000001:gbp"), st.just("settlement:scheme:gbp"), amounts_minor, currencies)


def refusal(legs: list[Leg]) -> Permanent:
    with pytest.raises(Permanent) as caught:
        check_balanced(legs)
    return caught.value


@given(st.lists(pairs, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_any_pairs_in_any_order_balance(made: list[tuple[Leg, Leg]], random: object) -> None:
    """In every currency that occurs."""
    legs = [leg for one in made for leg in one]
    random.shuffle(legs)  # type: ignore[attr-defined]
    check_balanced(legs)


@given(st.lists(pairs, min_size=1, max_size=4), st.integers(1, 1000))
def test_one_minor_unit_off_is_refused(made: list[tuple[Leg, Leg]], extra: int) -> None:
    """However small the difference is."""
    debit, credit = made[0]
    off = Leg(debit.account_id, debit.direction, debit.amount_minor + extra, debit.currency)
    legs = [off, credit, *(leg for one in made[1:] for leg in one)]
    assert refusal(legs).reason is ReasonCode.UNBALANCED


def test_currencies_do_not_balance_each_other() -> None:
    """100 pence against 100 cents is no transaction."""
    legs = [Leg("a", Direction.DEBIT, 100, "GBP"), Leg("b", Direction.CREDIT, 100, "EUR")]
    error = refusal(legs)
    assert error.reason is ReasonCode.UNBALANCED
    assert "GBP" in error.detail
    assert "EUR" in error.detail


@pytest.mark.parametrize("amount_minor", [0, -1])
def test_an_amount_is_positive(amount_minor: int) -> None:
    """The direction carries the sign; a pair of zeros would balance."""
    assert refusal(list(pair("a", "b", amount_minor, "GBP"))).reason is ReasonCode.INVALID_AMOUNT


def test_nothing_is_no_posting() -> None:
    """No legs sum to zero too."""
    assert refusal([]).reason is ReasonCode.UNBALANCED


def test_directions_have_signs_and_opposites() -> None:
    """Credits count positive."""
    assert (Direction.CREDIT.signed(5), Direction.DEBIT.signed(5)) == (5, -5)
    assert all(direction.opposite().opposite() is direction for direction in Direction)
    assert Direction.DEBIT.opposite() is Direction.CREDIT


@given(st.integers(1, 16).flatmap(lambda total: st.tuples(st.just(total), st.sets(st.integers(1, total)))))
def test_received_and_missing_make_the_whole(case: tuple[int, set[int]]) -> None:
    """Each index is one or the other; repeated arrivals count once."""
    total, received = case
    missing = missing_indexes([*received, *received], total)
    assert sorted([*received, *missing]) == list(range(1, total + 1))
