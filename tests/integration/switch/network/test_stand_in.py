"""Approvals in the stead of a bank that is away."""

import pytest
from tests.integration.switch.links.peers import eventually, run
from tests.integration.switch.network.fake_bank import approve, silent_on
from tests.integration.switch.network.stage import (
    CARD,
    HARBOUR_CARD,
    LOOKUP,
    OTHER_CARD,
    cut_connections,
    make_banks,
    make_network,
    purchase,
    reversal,
    staged,
)

from switch.iso8583.message import Message

DOWN = ("northgate",)


def test_a_small_purchase_is_approved_in_the_banks_stead_and_the_bank_told_later(postgres_dsn: str) -> None:
    """000 and an approval code to the cardholder; the 1120 with reason and authorizing agent follows the sign-on."""

    async def test() -> None:
        async with staged(postgres_dsn, down=DOWN) as stage:
            answer = await stage.ask(purchase(1, amount=4000, de35=f"{CARD}=39122011234567"))
            assert (answer.mti, answer[39]) == ("1110", "000")
            (row,) = await stage.advices("pending")
            assert (row["message_type"], row["approval_code"]) == ("1120", answer[38])
            await stage.northgate.start()
            assert await stage.delivered(1)
            (told,) = stage.northgate.of("1120")
            assert (told[2], told[4], told[11], told[12]) == (CARD, "000000004000", "000001", "261121010203")
            assert (told[25], told[38], told[39], told[58]) == ("1003", answer[38], "000", "900001")
            assert 35 not in told.fields

    run(test())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": 5001}, "121"),
        ({"de3": "010000"}, "912"),
        ({"de3": "200000"}, "912"),
        ({"de24": "101"}, "912"),
        ({"de49": "978"}, "912"),
        ({"pan": HARBOUR_CARD}, "912"),
        ({"pan": "4761340000000035"}, "118"),
    ],
    ids=["too much", "cash", "refund", "pre-authorisation", "currency", "no stand-in", "unknown card"],
)
def test_what_may_not_be_decided_is_not(postgres_dsn: str, changes: dict[str, str], code: str) -> None:
    async def test() -> None:
        async with staged(postgres_dsn, down=("northgate", "harbour")) as stage:
            assert (await stage.ask(purchase(1, **changes)))[39] == code
            assert not await stage.advices()

    run(test())


def test_a_payment_with_a_pin_is_left_to_the_issuer(postgres_dsn: str) -> None:
    """Nobody else can verify it."""

    class Hsm:
        async def translate_pin(self, block: str, pan: str, *, from_key: str, to_key: str) -> str:
            return block

    async def test() -> None:
        keyed = {"port": 0, "pin_key": "k"}
        async with staged(
            postgres_dsn,
            down=DOWN,
            hsm=Hsm(),
            network=make_network(listen=keyed),
            banks=make_banks(listen=keyed),
        ) as stage:
            assert (await stage.ask(purchase(1, de52="0102030405060708")))[39] == "912"
            await stage.northgate.start()
            assert await eventually(lambda: stage.links["northgate"].up)
            assert (await stage.ask(purchase(2, de52="0102030405060708")))[39] == "000"
            assert stage.northgate.received[0][52] == "0102030405060708"

    run(test())


def test_a_cards_day_is_limited_in_count_and_amount(postgres_dsn: str) -> None:
    """Of 10,000 and three payments a day; each card has its own; the bank's decline codes name which."""

    async def test() -> None:
        async with staged(postgres_dsn, down=DOWN) as stage:
            codes = [(await stage.ask(purchase(n, amount=4000)))[39] for n in (1, 2, 3)]
            assert codes == ["000", "000", "121"]
            assert (await stage.ask(purchase(4, amount=2000)))[39] == "000"
            assert (await stage.ask(purchase(5, amount=1)))[39] == "123"
            assert (await stage.ask(purchase(6, pan=OTHER_CARD)))[39] == "000"
            (row,) = await stage.rows(
                "SELECT count, amount_minor FROM network.stand_in_usage WHERE pan_lookup = $1", LOOKUP.lookup(CARD)
            )
            assert (row["count"], row["amount_minor"]) == (3, 10_000)

    run(test())


def test_payments_at_once_cannot_share_what_is_left(postgres_dsn: str) -> None:
    async def test() -> None:
        async with staged(postgres_dsn, down=DOWN) as stage:
            await stage.terminal.send(*(purchase(n, amount=5000) for n in range(1, 21)))
            codes = sorted([(await stage.terminal.receive())[39] for _ in range(20)])
            assert codes == ["000"] * 2 + ["121"] * 18
            assert len(await stage.advices()) == 2

    run(test())


def test_a_card_on_the_negative_file_is_refused(postgres_dsn: str) -> None:
    async def test() -> None:
        async with staged(postgres_dsn, down=DOWN) as stage:
            await stage.rows(
                "INSERT INTO network.negative_cards (network_id, pan_lookup, action_code)"
                " VALUES ('meridian', $1, '208')",
                LOOKUP.lookup(CARD),
            )
            assert (await stage.ask(purchase(1)))[39] == "208"
            assert (await stage.ask(purchase(2, pan=OTHER_CARD)))[39] == "000"

    run(test())


def test_a_repetition_after_a_restart_gets_the_same_approval(postgres_dsn: str) -> None:
    """The decision is in the database: the same code, counted once. Another amount under its key is 913."""

    async def test() -> None:
        async with staged(postgres_dsn, down=DOWN) as stage:
            first = await stage.ask(purchase(1))
        async with staged(postgres_dsn, down=DOWN, cards=False) as stage:
            again = await stage.ask(purchase(1, mti="1101"))
            assert (again[39], again[38]) == ("000", first[38])
            (row,) = await stage.rows("SELECT count FROM network.stand_in_usage")
            assert row["count"] == 1
        async with staged(postgres_dsn, down=DOWN, cards=False) as stage:
            assert (await stage.ask(purchase(1, mti="1101", amount=1)))[39] == "913"

    run(test())


def test_its_reversal_follows_the_advice(postgres_dsn: str) -> None:
    """The bank hears of the approval first, then of its end."""

    async def test() -> None:
        async with staged(postgres_dsn, down=DOWN) as stage:
            paid = purchase(1)
            assert (await stage.ask(paid))[39] == "000"
            assert (await stage.ask(reversal(paid)))[39] == "400"
            await stage.northgate.start()
            assert await stage.delivered(2)
            assert [message.mti for message in stage.northgate.received] == ["1120", "1420"]

    run(test())


def test_a_bank_that_has_signed_off_gives_910_or_is_stood_in_for(postgres_dsn: str) -> None:
    """It is connected, and away on purpose: the advice says so (1001). When it signs on again it is asked again."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:

            def manage(code: str) -> None:
                for connection in stage.northgate._server._connections:  # type: ignore[union-attr]
                    connection.reply(Message("1804", {7: "1121010203", 11: "000001", 12: "261121010203", 24: code}))

            manage("802")
            assert await eventually(lambda: not stage.links["northgate"].up)
            assert (await stage.ask(purchase(1)))[39] == "000"
            assert [row["reason"] for row in await stage.advices()] == ["1001"]
            assert (await stage.ask(purchase(2, de3="010000")))[39] == "910"
            manage("801")
            assert await eventually(lambda: stage.links["northgate"].up)
            assert await stage.delivered(1)
            assert (await stage.ask(purchase(3, de3="010000")))[39] == "000"

    run(test())


def test_a_bank_that_leaves_three_unanswered_is_stood_in_for(postgres_dsn: str) -> None:
    """Each of the three gets 911 and a reversal; what may be decided then is, with reason 1002, and not sent."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("110")
            assert [(await stage.ask(purchase(n)))[39] for n in (1, 2, 3)] == ["911"] * 3
            assert (await stage.ask(purchase(4)))[39] == "000"
            assert (await stage.ask(purchase(5, de3="010000")))[39] == "911"
            assert [row["reason"] for row in await stage.advices()] == ["4021"] * 3 + ["1002", "4021"]
            assert "000004" not in {message[11] for message in stage.northgate.of("1100")}
            stage.northgate.react = approve
            assert (await stage.ask(purchase(6, de3="010000")))[39] == "000"
            assert (await stage.ask(purchase(7)))[39] == "000"
            assert len(stage.northgate.of("1100")) == 6

    run(test())


def test_a_connection_that_was_cut_is_replaced_unseen(postgres_dsn: str, postgres_superuser_dsn: str) -> None:
    """Neither the look at a card nor a decision in the bank's stead fails for it; the decision is made once."""

    async def test() -> None:
        async with staged(postgres_dsn, down=DOWN) as stage:
            await cut_connections(postgres_superuser_dsn)
            first = await stage.ask(purchase(1))
            assert first[39] == "000"
            await cut_connections(postgres_superuser_dsn)
            assert (await stage.ask(purchase(2)))[39] == "000"
            (row,) = await stage.rows("SELECT count FROM network.stand_in_usage")
            assert row["count"] == 2
            assert next(row["approval_code"] for row in await stage.advices()) == first[38]

    run(test())
