"""The tables `seganypet evaluate` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from SegAnyPETLib.cli.console import write_line, write_table

if TYPE_CHECKING:
    from SegAnyPETLib.evaluation import Estimate, EvaluationResult, RobustnessResult

SHOWN_CLICKS = (1, 2, 3, 5, 10)


def write_summary(result: EvaluationResult) -> None:
    """Print the figures people ask for first."""
    clicks = [click for click in SHOWN_CLICKS if click <= result.protocol.clicks]
    rows = [
        [
            f"after click {click}",
            _mean(result.estimate_after(click, "dice")),
            _median(result.estimate_after(click, "dice"), digits=3),
            _mean(result.estimate_after(click, "surface_dice_4mm")),
            _median(result.estimate_after(click, "hd95_mm"), digits=1),
            _median(result.estimate_after(click, "volume_ratio"), digits=2),
        ]
        for click in clicks
    ]
    rows += [
        [
            name.replace("_", " "),
            _mean(result.estimate_of_baseline(name, "dice")),
            _median(result.estimate_of_baseline(name, "dice"), digits=3),
            _mean(result.estimate_of_baseline(name, "surface_dice_4mm")),
            _median(result.estimate_of_baseline(name, "hd95_mm"), digits=1),
            _median(result.estimate_of_baseline(name, "volume_ratio"), digits=2),
        ]
        for name in result.cases[0].baselines
    ]
    header = ["", "Dice, mean [95 %]", "median", "surface Dice 4 mm", "HD95 mm, median", "volume ratio"]
    write_table([f"{len(result.names)} cases", *header[1:]], rows)
    if result.cases[0].beside:
        write_beside(result)
    write_line()
    for line in _closing_lines(result):
        write_line(line)


def _closing_lines(result: EvaluationResult) -> list[str]:
    lines = [f"area under Dice, clicks 1 to 5 (at most 4): {_mean(result.estimate_of_auc())}"]
    for dice in (0.80, 0.85):
        count = result.clicks_to(dice)
        lines.append(
            f"clicks to Dice {dice:.2f}: {count['mean_capped']:.1f} on average, {count['failed']} never reach it"
        )
    lowering = result.share_of_clicks_lowering_dice()
    if lowering is not None:
        lines.append(f"clicks that lower Dice by more than 0.02: {lowering:.0%}")
    lines.append(f"clicks obeyed: {result.share_of_clicks_obeyed():.0%}")
    for name, spread in result.seconds().items():
        if spread is not None:
            figures = f"median {spread['median']:.2f}, 95th percentile {spread['percentile_95']:.2f}"
            lines.append(f"seconds per {name.replace('_', ' ')}: {figures}")
    return lines


def _mean(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    low, high = estimate.mean_interval
    return f"{estimate.mean:.3f} [{low:.3f}, {high:.3f}]"


def _median(estimate: Estimate | None, *, digits: int) -> str:
    return "-" if estimate is None else f"{estimate.median:.{digits}f}"


def write_beside(result: EvaluationResult) -> None:
    """Print mean Dice after the shown clicks for every method that was given the same clicks."""
    clicks = [click for click in SHOWN_CLICKS if click <= result.protocol.clicks]

    def row(name: str, estimates: list[Estimate | None]) -> list[str]:
        return [name, *("-" if estimate is None else f"{estimate.mean:.3f}" for estimate in estimates)]

    rows = [row("evaluated", [result.estimate_after(click, "dice") for click in clicks])]
    rows += [
        row(name.replace("_", " "), [result.estimate_beside(name, click) for click in clicks])
        for name in result.cases[0].beside
    ]
    write_line()
    write_table(["same clicks, mean Dice", *(f"click {click}" for click in clicks)], rows)


def write_robustness(result: RobustnessResult) -> None:
    """Print mean Dice of every run and its change against the standard run, paired by case."""
    from SegAnyPETLib.evaluation.robustness import STANDARD

    header = [f"{len(result.runs[STANDARD].names)} cases, mean Dice [95 %]"]
    for click in result.shown_clicks:
        header += [f"after click {click}", "change"]
    rows = []
    for name, run in result.runs.items():
        row = [name]
        for click in result.shown_clicks:
            change = None if name == STANDARD else result.change(name, click)
            row += [_mean(run.estimate_after(click, "dice")), _mean(change)]
        rows.append(row)
    write_table(header, rows)
