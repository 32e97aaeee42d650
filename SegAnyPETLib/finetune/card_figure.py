"""The card's picture: how training went, what was gained by click, and what was forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from SegAnyPETLib.finetune.card import TrainingCard
from SegAnyPETLib.finetune.comparing import Row
from SegAnyPETLib.report.drawing import FAINT, INK, write_figure

Axes = Any  # matplotlib ships no types that mypy follows
BEFORE, AFTER = "#8a8a8a", "#0072b2"  # told apart by brightness too
OFFSET = "#d55e00"
LEAST_SHOWN_MM = 1.0  # of the axis of offsets, so that nothing does not look like much
SMOOTHED_SHARE = 0.05  # of the steps, over which the loss is averaged


def write_card_figure(path: Path, card: TrainingCard) -> None:
    """Write the PNG, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    figure = Figure(figsize=(12.0, 6.4), dpi=110, layout="constrained")
    (loss, labels, validation), (clicks, forgotten, words) = figure.subplots(2, 3)
    _draw_loss(loss, card)
    _draw_labels(labels, card)
    _draw_validations(validation, card)
    _draw_clicks(clicks, card)
    _draw_forgotten(forgotten, card)
    _write_words(words, card)
    for axes in (loss, labels, validation):
        if axes.has_data():
            axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in (loss, labels, validation, clicks, forgotten):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, colors=INK)
    write_figure(path, figure)


def _draw_loss(axes: Axes, card: TrainingCard) -> None:
    steps, losses = _curve(card, "loss")
    axes.plot(steps, losses, color=FAINT, linewidth=0.5, alpha=0.5)
    window = max(1, round(SMOOTHED_SHARE * len(losses)))
    if len(losses) > window:
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        axes.plot(steps[window - 1 :], smooth, color=AFTER, linewidth=1.5)
    axes.set_title("Training loss", fontsize=9)
    axes.set_xlabel("step", fontsize=8)


def _draw_labels(axes: Axes, card: TrainingCard) -> None:
    steps, offsets = _curve(card, "offset_mm")
    axes.set_title("Careless labels against careful ones", fontsize=9)
    if not len(steps):
        _say_nothing(axes, "not estimated while training")
        return
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.plot(steps, offsets, color=OFFSET, linewidth=1.5)
    widest = max(LEAST_SHOWN_MM, float(np.abs(offsets).max()))
    axes.set_ylim(-1.1 * widest, 1.1 * widest)
    axes.set_ylabel("too large by, mm", fontsize=8, color=OFFSET)
    axes.set_xlabel("step", fontsize=8)
    belief = axes.twinx()
    belief.plot(*_curve(card, "belief"), color=AFTER, linewidth=1.0, linestyle="dashed")
    belief.set_ylabel("belief in repaired labels", fontsize=8, color=AFTER)
    belief.set_ylim(0, 1.02)
    belief.tick_params(labelsize=8)
    belief.spines["top"].set_visible(False)


def _draw_validations(axes: Axes, card: TrainingCard) -> None:
    axes.set_title("Validation Dice while training", fontsize=9)
    if not card.validations:
        _say_nothing(axes, "no validation cases")
        return
    steps, dice = zip(*card.validations, strict=True)
    axes.plot(steps, dice, "o-", color=AFTER, markersize=4, linewidth=1.2)
    best = int(np.argmax(dice))
    axes.plot([steps[best]], [dice[best]], "o", markersize=9, markerfacecolor="none", color=INK)
    axes.set_xlabel("step (circle: kept)", fontsize=8)


def _draw_clicks(axes: Axes, card: TrainingCard) -> None:
    axes.set_title("Your validation cases", fontsize=9, pad=22 if card.site else None)
    if card.site is None:
        _say_nothing(axes, "no validation cases")
        return
    places = np.arange(len(card.site.clicks))
    rows = [card.site.after_click(click) for click in card.site.clicks]
    _pairs(axes, places, rows)
    axes.set_xticks(places, [str(click) for click in card.site.clicks])
    axes.set_xlabel(f"clicks ({card.site.patients} patients, 95 % intervals)", fontsize=8)
    axes.set_ylabel("Dice", fontsize=8)
    axes.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _draw_forgotten(axes: Axes, card: TrainingCard) -> None:
    groups = card.bundled.groups
    places = np.arange(len(groups))
    _pairs(axes, places, [card.bundled.overall(group=group) for group in groups])
    axes.set_xticks(places, [group.replace(" ", "\n") for group in groups], fontsize=8)
    axes.set_title("Bundled cases: what was forgotten", fontsize=9)
    axes.set_ylabel("Dice, mean over clicks", fontsize=8)
    axes.set_xlim(-0.5, len(groups) - 0.5)


def _pairs(axes: Axes, places: Any, rows: list[Row]) -> None:  # places: an array
    for shift, colour, word in ((-0.08, BEFORE, "before"), (0.08, AFTER, "after")):
        estimates = [getattr(row, word) for row in rows]
        means = np.array([one.mean for one in estimates])
        low, high = np.array([one.mean_interval for one in estimates]).T
        reach = np.maximum(np.stack([means - low, high - means]), 0)
        axes.errorbar(places + shift, means, yerr=reach, fmt="o", color=colour, markersize=5, capsize=3, label=word)


def _write_words(axes: Axes, card: TrainingCard) -> None:
    import textwrap

    axes.axis("off")
    cohort = card.cohort
    lines = [
        *textwrap.wrap(card.decision.reason, 48),
        "",
        *textwrap.wrap(card.decision.caution, 48),
        "",
        f"{cohort.careful} careful, {cohort.careless} careless cases; {cohort.validation} validation",
        f"method {card.config.get('method')}, {card.config.get('parts')}, {card.steps} steps",
        f"from {card.base}",
    ]
    axes.text(0, 1, textwrap.fill(card.name, 40), fontsize=10, weight="bold", va="top", color=INK)
    axes.text(0, 0.88, "\n".join(lines), fontsize=8, va="top", color=INK)


def _curve(card: TrainingCard, name: str) -> tuple[Any, Any]:  # two arrays
    known = [(line["step"], line[name]) for line in card.history if name in line]
    steps, values = zip(*known, strict=True) if known else ((), ())
    return np.asarray(steps, dtype=float), np.asarray(values, dtype=float)


def _say_nothing(axes: Axes, why: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", fontsize=9, color=FAINT)
