"""How results look: money in major units, colours only where wanted, progress that never mixes with results."""

import pytest

from postrail.cli import console


@pytest.mark.parametrize(
    ("amount_minor", "currency", "shown"),
    [
        (102_550, "EUR", "1,025.50 EUR"),
        (5, "GBP", "0.05 GBP"),
        (-1, "GBP", "-0.01 GBP"),
        (0, "GBP", "0.00 GBP"),
        (1_500, "JPY", "1,500 JPY"),
        (-1_234_567, "KWD", "-1,234.567 KWD"),
    ],
)
def test_amounts_are_shown_with_the_currencys_own_decimals(amount_minor, currency, shown):
    assert console.format_minor(amount_minor, currency) == shown


def test_numbers_are_aligned_to_the_right(capsys):
    grid = console.table("name", "number", right=("number",))
    grid.add_row("a", "1")
    grid.add_row("b", "1,000")
    console.out().print(grid)
    assert [len(line.rstrip()) for line in capsys.readouterr().out.splitlines()] == [12, 12, 12]


def test_brackets_are_text_and_no_markup(capsys):
    grid = console.table("condition")
    grid.add_row("limits[currency] > [bold]")
    console.out().print(grid)
    assert "limits[currency] > [bold]" in capsys.readouterr().out


def test_a_pipe_gets_no_escape_codes(capsys):
    console.out().print("plain", style="bold red")
    assert capsys.readouterr().out == "plain\n"


def test_progress_tells_beginning_and_end_where_there_is_no_terminal(capsys):
    with console.progress("Working", 3) as meter:
        meter.reach(2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Working ...\nWorking: 2 of 3\n"


def test_json_is_one_line_with_text_as_it_is(capsys):
    console.write_json({"name": "Café"})
    assert capsys.readouterr().out == '{"name": "Café"}\n'
