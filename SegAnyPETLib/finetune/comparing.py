"""Two models on the same cases: Dice after each click before and after, and what was gained, patient by patient.

The product's own session is clicked by the evaluation's protocol, each model into its own largest errors. Figures are
means over patients, since lesions of one patient are not independent; intervals are bootstrapped over patients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation import Case, Estimate, EvaluationProtocol, SessionMethod, compute_estimate, evaluate_case
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session import InteractiveSession
from SegAnyPETLib.suv import SUVVolume

if TYPE_CHECKING:
    from SegAnyPETLib.finetune.cohort.cases import CohortCase
    from SegAnyPETLib.session.protocols import SegmentationModel

CLICKS = (1, 3, 5)
MOST_LESIONS = 3  # per case: a patient with many must not take all the time
KEPT_MM = 160.0  # of the image around a lesion: more than the network's widest window, so nothing near is lost


@dataclass(frozen=True, eq=False)
class JudgedCase:
    """One lesion or organ to be segmented.

    Attributes:
        case: Image and reference.
        patient: Whose it is; figures are averaged over the cases of a patient first.
        group: What it stands for, for example ``lesions``; figures are also given per group.
    """

    case: Case
    patient: str
    group: str = "lesions"


@dataclass(frozen=True)
class JudgedPair:
    """Dice of both models on one case.

    Attributes:
        case: Its name.
        patient: Whose it is.
        group: What it stands for.
        before: Dice of the first model after each of the comparison's clicks.
        after: Of the second.
    """

    case: str
    patient: str
    group: str
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """Figures over patients, for one number of clicks or for all.

    Attributes:
        before: Dice of the first model.
        after: Of the second.
        gain: Second less first, patient by patient.
    """

    before: Estimate
    after: Estimate
    gain: Estimate


@dataclass(frozen=True)
class Comparison:
    """Two models on the same cases.

    Attributes:
        clicks: Numbers of clicks after which Dice was noted, ascending.
        pairs: One per case.

    Raises:
        InputError: There is no case.
    """

    clicks: tuple[int, ...]
    pairs: tuple[JudgedPair, ...]

    def __post_init__(self) -> None:
        if not self.pairs or not self.clicks:
            msg = "Expected at least one case and one number of clicks to compare two models on; found none."
            raise InputError(msg)

    @property
    def patients(self) -> int:
        """How many patients the cases are of."""
        return len({pair.patient for pair in self.pairs})

    @property
    def groups(self) -> tuple[str, ...]:
        """In the order they came."""
        return tuple(dict.fromkeys(pair.group for pair in self.pairs))

    def after_click(self, click: int) -> Row:
        """Figures after so many clicks."""
        place = self.clicks.index(click)
        return self._row(lambda dice: dice[place])

    def overall(self, *, group: str | None = None) -> Row:
        """Figures of the mean Dice over the numbers of clicks, of one group or of all cases."""
        return self._row(lambda dice: float(np.mean(dice)), group=group)

    def to_dict(self, *, with_cases: bool = True) -> dict[str, Any]:
        """For JSON.

        Args:
            with_cases: False leaves out names of cases and patients, and the figures of each.
        """
        found: dict[str, Any] = {
            "clicks": list(self.clicks),
            "cases": len(self.pairs),
            "patients": self.patients,
            "after_click": {str(click): asdict(self.after_click(click)) for click in self.clicks},
            "overall": asdict(self.overall()),
            "groups": {group: asdict(self.overall(group=group)) for group in self.groups},
        }
        return found | ({"pairs": [asdict(pair) for pair in self.pairs]} if with_cases else {})

    def _row(self, value_of: Callable[[tuple[float, ...]], float], *, group: str | None = None) -> Row:
        pairs = [pair for pair in self.pairs if group in (None, pair.group)]
        patients = [pair.patient for pair in pairs]
        before = _per_patient(patients, [value_of(pair.before) for pair in pairs])
        after = _per_patient(patients, [value_of(pair.after) for pair in pairs])
        gain = [after[patient] - before[patient] for patient in before]
        return Row(*(compute_estimate(values) for values in (list(before.values()), list(after.values()), gain)))


def compare_models(
    before: SegmentationModel,
    after: SegmentationModel,
    cases: Sequence[JudgedCase],
    *,
    clicks: Sequence[int] = CLICKS,
    on_case: Callable[[int], None] | None = None,
) -> Comparison:
    """Click both models through the same cases.

    Args:
        before: The model to be replaced.
        after: The one that may replace it.
        cases: At least one.
        clicks: After which Dice is noted.
        on_case: Called after each case with the number done, of twice as many as there are cases.

    Raises:
        InputError: There is no case.
    """
    ordered = tuple(sorted(set(clicks)))
    first = dice_by_click(before, cases, clicks=ordered, on_case=on_case)
    second = dice_by_click(after, cases, clicks=ordered, on_case=on_case and (lambda done: on_case(len(cases) + done)))
    pairs = (
        JudgedPair(one.case.name, one.patient, one.group, a, b) for one, a, b in zip(cases, first, second, strict=True)
    )
    return Comparison(ordered, tuple(pairs))


def dice_by_click(
    model: SegmentationModel,
    cases: Sequence[JudgedCase],
    *,
    clicks: Sequence[int] = CLICKS,
    on_case: Callable[[int], None] | None = None,
) -> list[tuple[float, ...]]:
    """Dice of each case after each number of clicks: the first deepest inside, then into the largest error.

    Args:
        model: Anything a session takes.
        cases: To be segmented.
        clicks: Ascending.
        on_case: Called after each case with the number of cases done.
    """
    method = SessionMethod(InteractiveSession(model))
    protocol = EvaluationProtocol(clicks=max(clicks))
    found = []
    for number, judged in enumerate(cases, start=1):
        result = evaluate_case(method, judged.case, protocol=protocol)
        found.append(tuple(float(result.after(click).dice) for click in clicks))
        if on_case is not None:
            on_case(number)
    return found


def mean_over_patients(cases: Sequence[JudgedCase], dice: Sequence[tuple[float, ...]]) -> float:
    """One figure for a model: Dice averaged over clicks, over the cases of a patient, then over patients."""
    patients = [one.patient for one in cases]
    return float(np.mean(list(_per_patient(patients, [float(np.mean(values)) for values in dice]).values())))


def lesion_cases(cases: Sequence[CohortCase], *, most_lesions: int = MOST_LESIONS) -> tuple[JudgedCase, ...]:
    """The largest lesions of each case, each a case of its own in the part of the image around it.

    Args:
        cases: Opened; those without a lesion give none.
        most_lesions: Of one case.
    """
    found = []
    for opened in cases:
        for number, lesion in enumerate(opened.lesions[:most_lesions], start=1):
            reference = np.zeros(opened.grid.shape_kji, dtype=bool)
            reference[lesion.box.slices] = lesion.mask
            name = f"{opened.name}/{number}"
            found.append(JudgedCase(cut_around(Case(name, opened.image, reference)), opened.patient))
    return tuple(found)


def cut_around(case: Case, *, kept_mm: float = KEPT_MM) -> Case:
    """The case with the image up to `kept_mm` around its reference; a whole body would only cost time."""
    grid: Grid = case.image.grid
    box = VoxelBox.of_mask(case.reference)
    reach = [int(np.ceil(kept_mm / spacing)) for spacing in grid.spacing_kji_mm]
    (k, j, i), (last_k, last_j, last_i) = (
        tuple(max(0, start - n) for start, n in zip(box.start_kji, reach, strict=True)),
        tuple(min(size, stop + n) for size, stop, n in zip(grid.shape_kji, box.stop_kji, reach, strict=True)),
    )
    kept = VoxelBox((k, j, i), (last_k, last_j, last_i))
    values = np.ascontiguousarray(case.image.array[kept.slices])
    reference = np.ascontiguousarray(case.reference[kept.slices])
    return Case(case.name, SUVVolume(values, grid.crop(kept), case.image.kind), reference)


def row_text(row: Row | Mapping[str, Any]) -> tuple[str, str, str]:
    """Before, after and gain with its 95 % interval, for tables."""
    shown = asdict(row) if isinstance(row, Row) else row
    low, high = shown["gain"]["mean_interval"]
    gain = f"{shown['gain']['mean']:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"{shown['before']['mean']:.3f}", f"{shown['after']['mean']:.3f}", gain


def _per_patient(patients: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for patient, value in zip(patients, values, strict=True):
        found.setdefault(patient, []).append(value)
    return {patient: float(np.mean(of_patient)) for patient, of_patient in found.items()}
