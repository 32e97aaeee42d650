"""Whether a fine-tuned model takes the place of the one before: a rule that was fixed before anything was measured."""

from __future__ import annotations

from dataclasses import dataclass

from SegAnyPETLib.finetune.comparing import Comparison

LARGEST_LOSS = 0.02  # Dice on the bundled cases that may be forgotten
# With n patients who all gain, chance alone does as well in one of 2^n; from six on that is below 2.5 %, the tail that
# the 95 % interval leaves out. The bootstrap's interval is too narrow for fewer (for one patient it has no width).
FEWEST_PATIENTS = 6
FEW_PATIENTS = 15  # below it the card says that the interval is rough


@dataclass(frozen=True)
class Decision:
    """What becomes of a model.

    Attributes:
        becomes_default: True where it may be used where no model is named; else it is kept as a candidate.
        reason: In words.
        caution: What a reader of the figures should know; empty where nothing.
    """

    becomes_default: bool
    reason: str
    caution: str = ""


def decide(site: Comparison | None, bundled: Comparison) -> Decision:
    """Default only where it is better by its interval and forgot little.

    The lower end of the 95 % interval of the gain on the site's validation cases (mean Dice over the numbers of clicks)
    must be above 0, and the mean loss on the bundled cases less than 0.02.

    Args:
        site: On the validation cases; None where the site has none.
        bundled: On the bundled cases.
    """
    lost = -bundled.overall().gain.mean
    if site is None:
        reason = "Kept as a candidate: there are no validation cases, so nobody knows whether it is better. Add some."
        return Decision(False, reason)
    gain = site.overall().gain
    low, high = gain.mean_interval
    shown = f"{gain.mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    caution = ""
    if site.patients < FEW_PATIENTS:
        caution = f"There are only {site.patients} validation patients; an interval from so few is rough."
    if low <= 0:
        word = "worse" if high < 0 else "not clearly better"
        reason = f"Kept as a candidate: on the validation cases it is {word}, Dice {shown}."
    elif lost >= LARGEST_LOSS:
        reason = (
            f"Kept as a candidate: it is better on the validation cases, Dice {shown}, but lost {lost:.3f} on the "
            f"bundled cases; {LARGEST_LOSS} or more is too much."
        )
    elif site.patients < FEWEST_PATIENTS:
        reason = (
            f"Kept as a candidate: it seems better, Dice {shown}, but {site.patients} validation patients are too few "
            f"to tell from chance; at least {FEWEST_PATIENTS} are needed."
        )
    else:
        forgot = f"lost {lost:.3f}" if lost > 0 else "lost nothing"
        reason = (
            f"Becomes the default: on the validation cases Dice changed by {shown}; on the bundled ones it {forgot}."
        )
        return Decision(True, reason, caution)
    return Decision(False, reason, caution)
