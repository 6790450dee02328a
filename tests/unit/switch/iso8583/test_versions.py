"""Messages of 1987 in terms of 1993 and back: what is kept, what is mapped, what is refused."""

import csv
from datetime import date
from pathlib import Path

import pytest
from tests.unit.switch.iso8583.samples import TODAY, approval, echo, purchase, purchase_1987, reversal

from switch.iso8583.action_codes import ACTION_TO_RESPONSE, to_action_code, to_response_code
from switch.iso8583.message import Message, MessageInvalid
from switch.iso8583.pos_data import parse_pos_data
from switch.iso8583.versions import to_1987, to_1993

ACTION_CODES_CSV = Path(__file__).parents[5] / "shared" / "iso8583" / "action_codes_1993.csv"
ORIGINAL = "0100" + "000001" + "1121020203" + "00000910001" + "0" * 11
REPLACEMENT = "0" * 24 + "C00000000" * 2


def test_a_purchase_says_the_same_in_both_versions() -> None:
    assert to_1993(purchase_1987(), TODAY) == purchase()
    assert to_1987(purchase()) == purchase_1987()


@pytest.mark.parametrize("message", [approval(), reversal(), echo()], ids=["approval", "reversal", "echo"])
def test_the_switchs_own_messages_survive_1987(message: Message) -> None:
    assert to_1993(to_1987(message), TODAY) == message


@pytest.mark.parametrize(
    ("mti_1993", "mti_1987"),
    [
        ("1100", "0100"),
        ("1101", "0101"),
        ("1110", "0110"),
        ("1120", "0120"),
        ("1220", "0220"),
        ("1421", "0421"),
        ("1430", "0430"),
        ("1804", "0800"),
        ("1805", "0801"),
        ("1814", "0810"),
    ],
)
def test_message_types_map_both_ways(mti_1993: str, mti_1987: str) -> None:
    assert to_1987(Message(mti_1993, {})).mti == mti_1987
    fields = {70: "301"} if mti_1987[1] == "8" else {}
    assert to_1993(Message(mti_1987, fields), TODAY).mti == mti_1993


@pytest.mark.parametrize(
    ("today", "month_day", "wanted"),
    [
        (date(2026, 11, 21), "1121", "261121"),
        (date(2027, 1, 1), "1231", "261231"),
        (date(2026, 12, 31), "0101", "270101"),
        (date(2026, 3, 1), "0229", "250301"),
        (date(2028, 3, 1), "0229", "280229"),
    ],
)
def test_a_year_is_the_nearest_that_has_the_day(today: date, month_day: str, wanted: str) -> None:
    message = Message("0110", {12: "010203", 13: month_day})
    if wanted == "250301":
        with pytest.raises(MessageInvalid) as refused:
            to_1993(message, today)
        assert refused.value.path == "13"
        return
    assert to_1993(message, today)[12] == wanted + "010203"


@pytest.mark.parametrize("fields", [{12: "010203"}, {13: "1121"}])
def test_local_date_and_time_come_together(fields: dict[int, str]) -> None:
    with pytest.raises(MessageInvalid):
        to_1993(Message("0100", fields), TODAY)


@pytest.mark.parametrize(
    ("code", "function"), [("001", "801"), ("002", "802"), ("161", "811"), ("201", "821"), ("301", "831")]
)
def test_network_management_functions_map_both_ways(code: str, function: str) -> None:
    new = to_1993(Message("0800", {7: "1121010203", 11: "000001", 70: code}), TODAY)
    assert new[24] == function
    assert new[12] == "261121010203", "1993 asks for local time, 1987 does not"
    assert to_1987(new)[70] == code


def test_a_network_management_function_that_is_unknown_is_refused_both_ways() -> None:
    with pytest.raises(MessageInvalid, match="70"):
        to_1993(Message("0800", {70: "999"}), TODAY)
    with pytest.raises(MessageInvalid, match="24"):
        to_1987(Message("1804", {24: "899"}))


@pytest.mark.parametrize(
    ("mti", "fields", "function"),
    [
        ("0100", {25: "00"}, "100"),
        ("0100", {25: "06"}, "101"),
        ("0120", {25: "06"}, "101"),
        ("0200", {}, "200"),
        ("0220", {90: ORIGINAL}, "201"),
        ("0220", {4: "0" * 12, 90: ORIGINAL, 95: REPLACEMENT}, "202"),
        ("0420", {}, "400"),
        ("0420", {4: "0" * 12, 95: REPLACEMENT}, "401"),
    ],
)
def test_the_function_follows_from_what_1987_says_elsewhere(mti: str, fields: dict[int, str], function: str) -> None:
    assert to_1993(Message(mti, fields), TODAY)[24] == function


def test_a_pre_authorisation_stays_one() -> None:
    message = purchase()
    message.fields[24] = "101"
    old = to_1987(message)
    assert old[25] == "06"
    assert to_1993(old, TODAY) == message


@pytest.mark.parametrize(("reason", "code"), [("4000", "17"), ("4002", "22"), ("4020", "20"), ("4021", "68")])
def test_the_reason_of_a_reversal_is_kept(reason: str, code: str) -> None:
    message = reversal()
    message.fields[25] = reason
    old = to_1987(message)
    assert old[39] == code
    assert to_1993(old, TODAY) == message


def test_a_partial_reversal_has_original_and_actual_amount_in_both() -> None:
    message = reversal()
    message.fields |= {4: "000000004000", 24: "401", 30: "000000012345" + "0" * 12}
    old = to_1987(message)
    assert old[4] == "000000012345"
    assert old[95] == "000000004000" + "0" * 12 + "C00000000C00000000"
    assert to_1993(old, TODAY) == message


def test_original_data_name_the_original_by_its_local_time() -> None:
    old = to_1987(reversal())
    assert old[90] == "0100" + "000001" + "1121020203" + "00000910001" + "0" * 11


def test_an_acquirer_with_leading_zeros_is_found_again() -> None:
    message = reversal()
    message.fields |= {32: "000123", 56: "1100" + "000001" + "261121020203" + "06" + "000123"}
    assert to_1993(to_1987(message), TODAY) == message


def test_original_data_of_an_acquirer_not_named_take_the_messages_own() -> None:
    old = to_1987(reversal())
    old.fields[90] = old[90][:20] + "0" * 22
    assert to_1993(old, TODAY)[56].endswith("06910001")


@pytest.mark.parametrize("amounts", ["x" * 42, "000000001000" + "C" * 30])
def test_replacement_amounts_that_are_none_are_refused(amounts: str) -> None:
    old = to_1987(reversal())
    old.fields[95] = amounts
    with pytest.raises(MessageInvalid, match="95"):
        to_1993(old, TODAY)


def test_letters_for_a_currency_become_its_number() -> None:
    old = purchase_1987()
    old.fields |= {49: "GBP", 54: "1002GBPC000000000100"}
    new = to_1993(old, TODAY)
    assert new[49] == "826"
    assert new[54] == "1002826C000000000100"
    old.fields[49] = "ZZZ"
    with pytest.raises(MessageInvalid, match="49"):
        to_1993(old, TODAY)


@pytest.mark.parametrize(
    ("entry_mode", "condition", "wanted"),
    [
        ("051", "00", {"input_mode": "5", "cardholder_present": "0", "environment": "1"}),
        ("071", "00", {"input_mode": "M", "card_present": "1"}),
        ("901", "00", {"input_mode": "2", "input_capability": "2"}),
        ("012", "08", {"input_mode": "6", "cardholder_present": "2", "authentication_capability": "0"}),
        ("812", "59", {"input_mode": "S", "cardholder_present": "5", "card_present": "0"}),
        ("812", "00", {"input_mode": "S", "cardholder_present": "5"}),
        ("051", "02", {"environment": "2", "capture_capability": "1"}),
        ("051", "27", {"environment": "2", "capture_capability": "0"}),
        ("999", "00", None),
        ("009", "00", None),
    ],
)
def test_the_point_of_service_is_told_in_twelve_positions(
    entry_mode: str, condition: str, wanted: dict[str, str] | None
) -> None:
    message = purchase_1987()
    message.fields |= {22: entry_mode, 25: condition}
    if wanted is None:
        with pytest.raises(MessageInvalid, match="22"):
            to_1993(message, TODAY)
        return
    pos = parse_pos_data(to_1993(message, TODAY)[22])._asdict()
    assert {name: pos[name] for name in wanted} == wanted


@pytest.mark.parametrize("condition", ["00", "01", "02", "05", "08", "15", "27", "59"])
@pytest.mark.parametrize("entry_mode", ["001", "012", "051", "071", "811", "901", "911", "100"])
def test_a_terminals_point_of_service_comes_back_as_it_was_said(entry_mode: str, condition: str) -> None:
    message = purchase_1987()
    message.fields |= {22: entry_mode, 25: condition}
    # a payment over the internet, or with a stored credential, says itself that no card was there
    condition = {"811": "59", "100": {"00": "05"}.get(condition, condition)}.get(entry_mode, condition)
    back = to_1987(to_1993(message, TODAY))
    assert (back[22], back[25]) == (entry_mode, condition)


def test_a_shop_is_cut_to_its_forty_characters() -> None:
    message = purchase()
    message.fields[43] = "A very long name of a corner shop\\1 High Street\\Leeds upon the Moor\\LS1 1AA   WYKGB "
    old = to_1987(message)
    assert old[43] == "A very long name of a cor" + "Leeds upon th" + "GB"
    assert to_1993(old, TODAY)[43] == "A very long name of a cor\\\\Leeds upon th\\" + " " * 13 + "GB "


def test_a_location_of_another_layout_is_passed_as_text() -> None:
    message = purchase()
    message.fields[43] = "Corner Shop, Leeds"
    assert to_1987(message)[43] == f"{'Corner Shop, Leeds':<40}"


def test_action_codes_are_those_proposed() -> None:
    if not ACTION_CODES_CSV.is_file():
        pytest.skip(f"the table of action codes is not here: {ACTION_CODES_CSV}")
    with ACTION_CODES_CSV.open(encoding="utf-8") as file:
        rows = [(row[0], row[2]) for row in csv.reader(file)][1:]
    assert {code for code, _ in rows} == set(ACTION_TO_RESPONSE)
    assert {code: response for code, response in rows if response} == {
        code: ACTION_TO_RESPONSE[code] for code, response in rows if response
    }


@pytest.mark.parametrize("action", sorted(ACTION_TO_RESPONSE))
def test_an_approval_never_becomes_a_refusal_nor_a_refusal_an_approval(action: str) -> None:
    back = to_action_code(to_response_code(action), "0110")
    assert (back < "100") == (to_response_code(action) in {"00", "08", "10", "11", "16"})
    if action < "100":
        assert back < "100"
    elif action < "300" or action > "901":
        assert back >= "100"


@pytest.mark.parametrize("code", ["101", "116", "117", "121", "123", "208", "209", "904", "907", "908", "909", "913"])
def test_codes_that_both_versions_have_come_back_as_they_were(code: str) -> None:
    assert to_action_code(to_response_code(code), "0110") == code


@pytest.mark.parametrize(
    ("mti", "wanted"), [("0110", "000"), ("0130", "900"), ("0230", "900"), ("0430", "400"), ("0810", "800")]
)
def test_what_00_means_depends_on_the_message(mti: str, wanted: str) -> None:
    assert to_action_code("00", mti) == wanted


@pytest.mark.parametrize("code", ["N7", "Z9", "88"])
def test_a_code_that_is_unknown_is_a_refusal(code: str) -> None:
    assert to_action_code(code, "0110") == "100"


@pytest.mark.parametrize(("action", "code"), [("950", "57"), ("199", "05"), ("299", "04"), ("999", "96")])
def test_an_action_code_that_is_unknown_falls_back_on_its_group(action: str, code: str) -> None:
    assert to_response_code(action) == code
