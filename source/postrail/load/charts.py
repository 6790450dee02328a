"""A run as pictures: what was offered and what came of it, how long it took, and the whole distribution."""

from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from postrail.load.results import Results

_BLUE: Final = "#1f5fa8"
_ORANGE: Final = "#d9822b"
_GREY: Final = "#8a94a0"
_RED: Final = "#b3261e"
_NINES: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)


def draw_load(results: Results, path: Path, *, title: str) -> None:
    """Write a PNG of three charts over each other: rates, backlog and latency by the second, latency by percentile."""
    figure, axes = plt.subplots(4, 1, figsize=(10, 13), constrained_layout=True)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    _rates(axes[0], results)
    _backlog(axes[1], results)
    _latency(axes[2], results)
    _percentiles(axes[3], results)
    for axis in axes:
        axis.grid(visible=True, color="#e3e6ea", linewidth=0.8)
        axis.set_axisbelow(True)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _rates(axis: Axes, results: Results) -> None:
    seconds = [each.second for each in results.series]
    axis.step(seconds, [each.due for each in results.series], where="post", color=_GREY, label="due")
    axis.step(seconds, [each.ended for each in results.series], where="post", color=_BLUE, label="ended")
    axis.set_ylabel("payments a second")
    _leave_room(axis)
    _mark_saturation(axis, results)
    axis.legend(frameon=False, loc="upper right", ncols=3)


def _backlog(axis: Axes, results: Results) -> None:
    seconds = [each.second for each in results.series]
    backlog = [each.backlog for each in results.series]
    axis.fill_between(seconds, backlog, color=_ORANGE, alpha=0.3, step="post")
    axis.step(seconds, backlog, where="post", color=_ORANGE)
    axis.set_ylabel("due and not ended")
    axis.set_ylim(bottom=0)
    _mark_saturation(axis, results)


def _latency(axis: Axes, results: Results) -> None:
    some = [each for each in results.series if each.p50_ms is not None]
    axis.plot([each.second for each in some], [each.p50_ms or 0 for each in some], color=_BLUE, label="p50")
    axis.plot([each.second for each in some], [each.p99_ms or 0 for each in some], color=_RED, label="p99")
    axis.set_ylabel("due to posted, ms")
    axis.set_xlabel("second of the run")
    _leave_room(axis)
    axis.legend(frameon=False, loc="upper right", ncols=2)


def _percentiles(axis: Axes, results: Results) -> None:
    """By the number of nines, as HdrHistogram's own plots do it."""
    points = [
        (float(parts[1]), float(parts[0]))
        for line in results.histogram.splitlines()
        if len(parts := line.split()) >= 3 and parts[0].replace(".", "").isdigit() and float(parts[1]) < 1
    ]
    if points:
        axis.plot([1 / (1 - share) for share, _ in points], [value for _, value in points], color=_BLUE)
    axis.set_xscale("log")
    axis.set_xticks([100 / (100 - nines) for nines in _NINES], [f"{nines:g} %" for nines in _NINES])
    axis.minorticks_off()
    axis.set_ylabel("due to posted, ms")
    axis.set_xlabel("share of payments that were faster")
    axis.set_ylim(bottom=0)


def _leave_room(axis: Axes) -> None:
    """From zero, with a strip above the highest point for the legend."""
    axis.set_ylim(0, axis.get_ylim()[1] * 1.2)


def _mark_saturation(axis: Axes, results: Results) -> None:
    if results.saturated_at_s is not None:
        axis.axvline(results.saturated_at_s, color=_RED, linestyle="--", linewidth=1, label="saturated")
