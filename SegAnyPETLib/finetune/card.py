"""The card of a fine-tuned model: what it was made from, what it gained and forgot, and what was decided.

Written as `card.json`, `card.md` and `card.png`. What an exported model takes along has no names of cases.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.finetune.comparing import Comparison, row_text
from SegAnyPETLib.finetune.deciding import FEWEST_PATIENTS, LARGEST_LOSS, Decision
from SegAnyPETLib.finetune.reviewing import LabelReview

SCHEMA = "seganypet-training-card/1"
JSON_NAME, MARKDOWN_NAME, FIGURE_NAME = "card.json", "card.md", "card.png"
LONGEST_CURVE = 400  # points; more are thinned out


@dataclass(frozen=True)
class CohortFacts:
    """What was learned from, in numbers.

    Attributes:
        fingerprint: SHA-256 over the manifest and all its files.
        careful: Carefully labelled cases trained on.
        careless: The same with careless labels.
        patients: Of these.
        validation: Cases kept for validation.
        validation_patients: Of these.
    """

    fingerprint: str
    careful: int
    careless: int
    patients: int
    validation: int
    validation_patients: int


@dataclass(frozen=True)
class TrainingCard:
    """All of it.

    Attributes:
        name: Of the model, in the store.
        base: Name of the model it was made from.
        base_sha256: Of that model's weights file.
        cohort: In numbers.
        config: Every setting, JSON.
        why: Why these settings, in words.
        versions: Of the software.
        machine: Processor and the like, without names.
        made_at: UTC, ISO 8601.
        seconds: Of training, over all sittings.
        steps: That were done.
        ended: Why training ended, in words.
        history: What each step said.
        validations: Steps and validation Dice.
        labels: What the model thinks of the careless labels; None where there are none.
        site: Before and after on the validation cases; None where there are none.
        bundled: Before and after on the bundled cases.
        decision: What became of it.
    """

    name: str
    base: str
    base_sha256: str
    cohort: CohortFacts
    config: Mapping[str, Any]
    why: str
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    made_at: str
    seconds: float
    steps: int
    ended: str
    history: Sequence[Mapping[str, float]] = field(repr=False)
    validations: Sequence[tuple[int, float]]
    labels: LabelReview | None
    site: Comparison | None
    bundled: Comparison
    decision: Decision

    def to_dict(self, *, for_others: bool = False) -> dict[str, Any]:
        """For JSON.

        Args:
            for_others: True leaves out what names cases of the site.
        """
        labels = None if self.labels is None else asdict(self.labels)
        if labels is not None and for_others:
            labels["please_review"] = len(labels["please_review"])
        plain = {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in ("name", "base", "base_sha256", "why", "made_at", "seconds")},
            "cohort": asdict(self.cohort),
            "config": dict(self.config),
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "steps": self.steps,
            "ended": self.ended,
            "history": [dict(line) for line in thinned(self.history)],
            "validations": [{"step": step, "dice": dice} for step, dice in self.validations],
            "labels": labels,
            "site": None if self.site is None else self.site.to_dict(with_cases=not for_others),
            "bundled": self.bundled.to_dict(),
            "decision": asdict(self.decision),
        }
        finite: dict[str, Any] = _finite(plain)
        return finite

    def to_markdown(self) -> str:
        """For people, on the site's own machine."""
        parts = [self._facts(), self._before_and_after(), self._labels(), self._forgotten(), self._settings()]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _facts(self) -> str:
        cohort, status = self.cohort, "default" if self.decision.becomes_default else "candidate"
        caution = f"\n\n{self.decision.caution}" if self.decision.caution else ""
        return (
            f"# {self.name}: {status}\n\n**{self.decision.reason}**{caution}\n\n"
            "For research only. Not a medical device.\n\n"
            f"![Curves, before and after, and what was forgotten]({FIGURE_NAME})\n\n"
            f"Made from `{self.base}` on {self.made_at} with the method {self.config.get('method')} "
            f"({self.config.get('parts')}), {self.steps} steps in {self.seconds / 60:.1f} minutes. {self.ended}\n\n"
            f"Learned from {cohort.careful} carefully and {cohort.careless} carelessly labelled cases of "
            f"{cohort.patients} patients. {cohort.validation} cases of {cohort.validation_patients} patients were kept "
            "for validation."
        )

    def _before_and_after(self) -> str:
        if self.site is None:
            return "## On your validation cases\n\nThere are none. Without them nobody knows whether it became better."
        rows = [
            *((f"{click} click{'s' * (click > 1)}", self.site.after_click(click)) for click in self.site.clicks),
            ("mean of these", self.site.overall()),
        ]
        lines = ["| Dice after | before | after | gain [95 % interval] |", "|---|---|---|---|"]
        lines += [f"| {name} | {' | '.join(row_text(row))} |" for name, row in rows]
        return (
            f"## On your validation cases\n\n{len(self.site.pairs)} lesions of {self.site.patients} patients; "
            "means over patients. The weights that did best on (some of) these cases were kept, so expect a little "
            "less on new ones.\n\n" + "\n".join(lines)
        )

    def _labels(self) -> str:
        if self.labels is None:
            return ""
        review = self.labels
        offset = review.offset_mm
        word = "about right" if not offset else f"{abs(offset):.1f} mm too {'large' if offset > 0 else 'small'}"
        text = (
            f"## Your careless labels\n\nAgainst the careful ones their borders are {word} on average. Repaired labels "
            f"were believed by {100 * review.belief:.0f} %. {review.looked_at} cases were looked at."
        )
        if review.level is not None:
            text += (
                " They are of thresholds that are too high; so each was first drawn down to "
                f"{100 * review.level:.0f} % of its hottest voxel, where careful ones end."
            )
        if review.please_review:
            names = "\n".join(f"- {name}" for name in review.please_review)
            text += (
                f"\n\nPlease review these: label and model hardly overlap, so nothing is learned from them.\n\n{names}"
            )
        return text

    def _forgotten(self) -> str:
        rows = [(group, self.bundled.overall(group=group)) for group in self.bundled.groups]
        rows.append(("all", self.bundled.overall()))
        lines = ["| bundled cases | before | after | gain [95 % interval] |", "|---|---|---|---|"]
        lines += [f"| {name} | {' | '.join(row_text(row))} |" for name, row in rows]
        return (
            f"## What was forgotten\n\nDice, mean over clicks, on {len(self.bundled.pairs)} phantom and synthetic "
            "cases that come with the library; they show that much was lost, not that nothing was.\n\n"
            + "\n".join(lines)
        )

    def _settings(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        settings = json.dumps(_finite(dict(self.config)), sort_keys=True)
        return (
            "## How it was made\n\n"
            f"{self.why}\n\nRule of the decision: the lower end of the 95 % interval of the gain must be above 0, less "
            f"than {LARGEST_LOSS} Dice may be lost on the bundled cases, and at least {FEWEST_PATIENTS} validation "
            "patients are needed. The confidence shown with this model is not calibrated; `seganypet calibrate` does "
            f"that.\n\n- cohort fingerprint: `{self.cohort.fingerprint}`\n- base weights: `{self.base_sha256}`\n"
            f"- software: {versions}\n- settings: `{settings}`"
        )


def write_card(folder: Path, card: TrainingCard) -> tuple[Path, Path, Path]:
    """Write JSON, Markdown and figure, each whole or not at all.

    Raises:
        OutputError: They cannot be written.
    """
    from SegAnyPETLib.finetune.card_figure import write_card_figure

    text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    for name, content in ((JSON_NAME, text), (MARKDOWN_NAME, card.to_markdown())):
        with write_atomically(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    write_card_figure(folder / FIGURE_NAME, card)
    return folder / JSON_NAME, folder / MARKDOWN_NAME, folder / FIGURE_NAME


def thinned(history: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
    """At most 400 steps, evenly, the last one among them."""
    step = max(1, math.ceil(len(history) / LONGEST_CURVE))
    return list(reversed(list(reversed(history))[::step]))


def _finite(value: Any) -> Any:  # JSON has no NaN
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
