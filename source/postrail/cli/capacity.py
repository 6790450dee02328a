"""`postrail capacity`: which quotas a rate of payments meets, and what it costs. Needs no graph and no credentials."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml

from postrail.capacity.costs import HOPS, Bill, MonthlyCost, bill_events, bill_files, bill_month
from postrail.capacity.data import DELIVERIES, CapacityData, load_capacity
from postrail.capacity.design import configured, delivered
from postrail.capacity.quota_use import QuotaUse, use_quotas
from postrail.capacity.what_if import Answer, what_if
from postrail.cli import console
from postrail.settings import Settings

app = typer.Typer(add_completion=False, help="Which quotas a rate of payments meets, and what it costs.")

RATE_MAX = 100_000


class Way(StrEnum):
    """How all stages are delivered; `configured` is what Terraform builds by default."""

    CONFIGURED = "configured"
    REALTIME = "realtime"
    NEAR_REALTIME = "near_realtime"
    BATCH = "batch"


Rate = Annotated[float, typer.Option(min=0.01, max=RATE_MAX, help="Payments a second.")]
Region = Annotated[str, typer.Option(help="AWS region.")]


@app.callback(invoke_without_command=True)
def capacity(
    context: typer.Context,
    rate: Rate = 1111,
    region: Region = "eu-west-2",
    delivery: Annotated[Way, typer.Option(help="How every stage gets its events, for the quotas.")] = Way.CONFIGURED,
    compare: Annotated[bool, typer.Option("--compare", help="What other ways to build the graph would cost.")] = False,
    regions: Annotated[bool, typer.Option("--regions", help="One table over all regions, in Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Say which quotas the graph would meet at a rate, and what a million payments cost by the price list."""
    if context.invoked_subcommand is not None:
        return
    data = load_capacity(Settings().resolved_config_dir())
    if as_json:
        console.write_json(_document(data, rate, region, delivery))
    elif regions:
        typer.echo(_regions(data, rate))
    elif compare:
        _show_answers(what_if(data, rate=rate, region=region), rate, region)
    else:
        data.check_region(region)
        _show_quotas(_uses(data, rate, region, delivery), rate, region, delivery)
        _show_costs(data, rate, region)
        _show_month(bill_month(data, region=region))
        _show_assumed(data, region)


@app.command()
def measure(
    count: Annotated[int, typer.Option(min=100, max=1_000_000, help="Sample payments.")] = 10_000,
) -> None:
    """Measure what the model needs to know of the code: config/capacity/graph.yaml keeps it under `measured`."""
    from postrail.capacity.measuring import measure as measure_code  # noqa: PLC0415 - brings in all stages

    measured = measure_code(count, config_dir=Settings().resolved_config_dir())
    typer.echo(yaml.safe_dump({"measured": measured}, sort_keys=False).rstrip())


def _uses(data: CapacityData, rate: float, region: str, way: Way) -> list[QuotaUse]:
    delivery = next((each for each in DELIVERIES if each == way.value), None)
    design = configured(data) if delivery is None else delivered(data, delivery)
    return use_quotas(data, design, rate=rate, region=region)


def _bills(data: CapacityData, rate: float, region: str) -> dict[str, Bill]:
    bills = {"configured": bill_events(data, configured(data), rate=rate, region=region)}
    for way in DELIVERIES:
        bills[way] = bill_events(data, delivered(data, way), rate=rate, region=region)
    return bills | {"file": bill_files(data, region=region)}


# --- tables ------------------------------------------------------------------------------------------------------


def _show_quotas(uses: Sequence[QuotaUse], rate: float, region: str, way: Way) -> None:
    out = console.out()
    columns = ("quota", "used", "limit", "used %", "", "ask for", "code")
    grid = console.table(*columns, right=("used", "limit", "used %", "ask for"))
    for use in uses:
        grid.add_row(
            f"{use.name}, {use.unit}",
            _number(use.used),
            "none named" if use.limit is None else _number(use.limit),
            "" if use.percent is None else f"{use.percent:.1f}",
            "raise" if use.must_be_raised else "",
            "" if use.ask_for is None else f"{use.ask_for:,}",
            _code(use),
        )
    out.print(f"{rate:,g} payments a second in {region}, delivery {way.value}\n")
    out.print(grid)
    for use in uses:
        if use.must_be_raised:
            out.print(f"\n{use.name}: beyond the limit, {use.beyond}.")


def _code(use: QuotaUse) -> str:
    if use.code is not None:
        return use.code
    return {"support": "AWS Support", "no": "hard limit"}.get(use.raise_by, use.raise_by)


def _show_costs(data: CapacityData, rate: float, region: str) -> None:
    bills = _bills(data, rate, region)
    out = console.out()
    out.print("\nUSD for a million payments, list price, by hop\n")
    grid = console.table("hop", *bills, right=tuple(bills))
    for hop in (*HOPS, "file"):
        cells = [bill.by_hop().get(hop) for bill in bills.values()]
        grid.add_row(hop, *("" if usd is None else f"{usd:.2f}" for usd in cells))
    grid.add_row("all", *(f"{bill.usd:.2f}" for bill in bills.values()))
    out.print(grid)
    out.print("\nThe same by service\n")
    groups = dict.fromkeys(group for bill in bills.values() for group in bill.by_group())
    grid = console.table("service", *bills, right=tuple(bills))
    for group in groups:
        cells = [bill.by_group().get(group) for bill in bills.values()]
        grid.add_row(group, *("" if usd is None else f"{usd:.2f}" for usd in cells))
    out.print(grid)


def _show_month(month: Sequence[MonthlyCost]) -> None:
    out = console.out()
    out.print("\nUSD a month, with payments or without\n")
    grid = console.table("what", "number", "USD", right=("number", "USD"))
    for cost in month:
        grid.add_row(cost.what, f"{cost.number:g}", f"{cost.usd:.2f}")
    grid.add_row("all", "", f"{sum(cost.usd for cost in month):.2f}")
    out.print(grid)


def _show_assumed(data: CapacityData, region: str) -> None:
    out = console.out()
    lines = [f"{price.id}: {price.assumed[region]}" for price in data.prices.prices if region in price.assumed]
    lines += [f"{quota.id}: {quota.assumed}" for quota in data.quotas.quotas if quota.assumed]
    out.print("\nNot from the region's own price list or page, but assumed\n")
    for line in lines:
        out.print(f"  {line}")
    out.print("\nSources, dates and what else is assumed: config/capacity/*.yaml and docs/capacity.md.")


def _show_answers(answers: Sequence[Answer], rate: float, region: str) -> None:
    out = console.out()
    out.print(f"USD for a million payments at {rate:,g} a second in {region}\n")
    grid = console.table("what if", "USD", "saves", "the default?", right=("USD", "saves"))
    for answer in answers:
        saves = "" if answer is answers[0] else f"{answer.saves_usd:+.2f}"
        grid.add_row(answer.name, f"{answer.usd:.2f}", saves, answer.verdict)
    out.print(grid)


def _regions(data: CapacityData, rate: float) -> str:
    """A Markdown table: what must be raised, and what a million payments cost, for each region."""
    names = data.prices.regions()
    bills = {region: _bills(data, rate, region) for region in names}
    raises = {
        region: [use for use in _uses(data, rate, region, Way.CONFIGURED) if use.must_be_raised] for region in names
    }
    rows = [["", *names], ["---", *("---:" for _ in names)]]
    rows += [
        [f"USD for a million payments, {label}", *(f"{bills[region][way].usd:.2f}" for region in names)]
        for way, label in (
            ("configured", "**as configured**"),
            ("realtime", "all `realtime`"),
            ("near_realtime", "all `near_realtime`"),
            ("batch", "all `batch`"),
            ("file", "as a batch file"),
        )
    ]
    month = [sum(cost.usd for cost in bill_month(data, region=region)) for region in names]
    rows.append(["USD a month besides, idle", *(f"{usd:.0f}" for usd in month)])
    for name in dict.fromkeys(use.name for uses in raises.values() for use in uses):
        rows.append([f"to be raised: {name}", *(_asked(raises[region], name) for region in names)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _asked(uses: Sequence[QuotaUse], name: str) -> str:
    for use in uses:
        if use.name == name and use.limit is not None:
            return f"{use.limit:,.0f} to {use.ask_for:,}"
    return "enough"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


# --- JSON --------------------------------------------------------------------------------------------------------


def _document(data: CapacityData, rate: float, region: str, way: Way) -> dict[str, Any]:
    return {
        "rate": rate,
        "region": region,
        "delivery": way.value,
        "quotas": [
            {
                "id": use.quota_id,
                "name": use.name,
                "unit": use.unit,
                "used": round(use.used, 3),
                "limit": use.limit,
                "percent": None if use.percent is None else round(use.percent, 2),
                "raise": use.must_be_raised,
                "ask_for": use.ask_for,
                "code": use.code,
                "assumed": use.assumed or None,
            }
            for use in _uses(data, rate, region, way)
        ],
        "usd_per_million": {
            name: {
                "usd": round(bill.usd, 4),
                "by_hop": {hop: round(usd, 4) for hop, usd in bill.by_hop().items()},
                "by_service": {group: round(usd, 4) for group, usd in bill.by_group().items()},
            }
            for name, bill in _bills(data, rate, region).items()
        },
        "usd_a_month": {cost.what: round(cost.usd, 2) for cost in bill_month(data, region=region)},
        "what_if": [
            {"name": answer.name, "usd": round(answer.usd, 4), "saves_usd": round(answer.saves_usd, 4)}
            for answer in what_if(data, rate=rate, region=region)
        ],
    }
