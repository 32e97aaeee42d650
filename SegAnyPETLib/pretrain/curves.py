"""Loss and validation curves of a run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from SegAnyPETLib.data.atomic import write_atomically


def write_curves(history: Sequence[dict[str, float]], path: Path) -> None:
    """Write a PNG with the loss and the Dice after one and three clicks over the steps."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    loss, dice = figure.subplots(1, 2)
    steps = [row["step"] for row in history]
    loss.plot(steps, [row["loss"] for row in history], "o-", color="black", markersize=3)
    loss.set(xlabel="step", ylabel="training loss (Dice + cross-entropy)")
    for key, label in (("dice_1", "1 click"), ("dice_3", "3 clicks")):
        dice.plot(steps, [row[key] for row in history], "o-", label=label, markersize=3)
    dice.set(xlabel="step", ylabel="mean Dice, held-out synthetic scenes", ylim=(0, 1))
    dice.legend()
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
