"""The reliability curve, the score and the interval as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from SegAnyPETLib.calibration.fitting import HeldOut
from SegAnyPETLib.calibration.report import curves
from SegAnyPETLib.data import write_atomically


def write_reliability_figure(path: Path, held_out: Sequence[HeldOut]) -> None:
    """Write a PNG: frequency against probability, Dice against score, and volume against interval, all held out."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    probability, score, volume = figure.subplots(1, 3)
    _draw_curves(probability, held_out)
    clicks = [one.observation.click for one in held_out]
    dots = score.scatter([one.score for one in held_out], [one.observation.dice for one in held_out], c=clicks, s=9)
    score.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    score.set(xlabel="score (expected Dice)", ylabel="Dice", xlim=(0, 1), ylim=(0, 1), title="Score")
    figure.colorbar(dots, ax=score, label="clicks")
    _draw_intervals(volume, [one for one in held_out if one.observation.click == max(clicks)])
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _draw_curves(axes: Any, held_out: Sequence[HeldOut]) -> None:  # Any: matplotlib ships no types
    for reliability, doubtful, label in zip(
        curves(held_out), curves(held_out, doubtful_only=True), ("before", "after"), strict=True
    ):
        error, doubtful_error = reliability.expected_calibration_error, doubtful.expected_calibration_error
        text = f"{label}: ECE {error:.3f}, doubtful voxels {doubtful_error:.3f}"
        axes.plot(reliability.probability, reliability.frequency, "o-", markersize=3, label=text)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.set(xlabel="probability", ylabel="frequency in the reference", xlim=(0, 1), ylim=(0, 1), title="Probability")
    axes.legend(fontsize="small")


def _draw_intervals(axes: Any, held_out: Sequence[HeldOut]) -> None:  # Any: matplotlib ships no types
    known = [(one.observation, one.interval_ml) for one in held_out if one.interval_ml is not None]
    truth = np.array([observation.reference_ml for observation, _ in known])
    found = np.array([observation.mask_ml for observation, _ in known])
    bounds = np.array([interval for _, interval in known])
    reach = np.abs(bounds.T - found)
    axes.errorbar(truth, found, yerr=reach, fmt="o", markersize=3, linewidth=0.8)
    limits = [min(truth.min(), bounds.min()), max(truth.max(), bounds.max())]
    axes.plot(limits, limits, color="grey", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="true volume, ml", ylabel="volume with interval, ml")
    axes.set_title(f"Volume after {held_out[0].observation.click} clicks")
