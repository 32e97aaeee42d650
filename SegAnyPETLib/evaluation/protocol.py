"""The click protocol run on one case: click, predict, measure, click into the largest error, again.

The reference reaches the method only through the clicks. Methods beside it are given the same clicks, which go where
the evaluated method errs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.clicks import next_click
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation.baselines import crop_margin_mm, run_baselines
from SegAnyPETLib.evaluation.cases import Case, cut_faces
from SegAnyPETLib.evaluation.first_clicks import DRAWN, FirstClick, place_first_click
from SegAnyPETLib.evaluation.metrics import Agreement, compute_agreement, compute_dice
from SegAnyPETLib.evaluation.shifts import SeenImage, Shift, see
from SegAnyPETLib.geometry import VoxelBox

if TYPE_CHECKING:
    from SegAnyPETLib.evaluation.methods import ClickedMethod

CLICKS_OF_AUC = 5


@dataclass(frozen=True)
class EvaluationProtocol:
    """How every case of a run is treated.

    Attributes:
        clicks: Clicks per case; fewer where the mask becomes perfect.
        first_click: See `place_first_click`; "deepest" is the standard.
        cut_faces_mm: Each face of the image loses a random 0 to this much (see `cut_faces`); 0 leaves images whole.
        seed: For the faces, a drawn first click, noise and the bootstrap.
        jitter_mm: How far a "jittered" first click lies from the deepest voxel.
        repeats: A drawn first click is drawn this often, from `seed` and the numbers after it; the faces stay the same.
        shift: What another scanner does to the image that the method and all floors see; the figures, uptake ratios
            too, are those of the image as it was.

    Raises:
        InputError: A value is out of its range, or a first click that is not drawn is to be repeated.
    """

    clicks: int = 10
    first_click: FirstClick = "deepest"
    cut_faces_mm: float = 0.0
    seed: int = 0
    jitter_mm: float = 5.0
    repeats: int = 1
    shift: Shift | None = None

    def __post_init__(self) -> None:
        is_in_range = self.clicks >= 1 and min(self.cut_faces_mm, self.seed, self.jitter_mm) >= 0 and self.repeats >= 1
        if not is_in_range or self.first_click not in get_args(FirstClick):
            msg = (
                "Expected at least one click and one repeat, a cut and a jitter of at least 0 mm, a seed of at least 0 "
                f"and a first click that is one of {', '.join(get_args(FirstClick))}; found {self}."
            )
            raise InputError(msg)
        if self.repeats > 1 and self.first_click not in DRAWN:
            msg = (
                f"Expected one repeat for a first click that is not drawn; found {self.repeats} of "
                f"{self.first_click!r}. Repeat one of {', '.join(DRAWN)}."
            )
            raise InputError(msg)


@dataclass(frozen=True)
class ClickResult:
    """One click and the mask it led to.

    Attributes:
        click: 1 for the first.
        kji: Clicked voxel, in the part of the case's image that was used (cut faces are gone).
        lps_mm: The same place in LPS mm.
        positive: True for "belongs to the lesion".
        agreement: The mask after this click against the reference.
        is_obeyed: The clicked voxel is in the mask after a positive click, out of it after a negative one.
        score: The method's own confidence; None where it has none.
        seconds: From the click to the mask; for the first click the encoding of the image is in it.
    """

    click: int
    kji: tuple[int, int, int]
    lps_mm: tuple[float, float, float]
    positive: bool
    agreement: Agreement
    is_obeyed: bool
    score: float | None
    seconds: float


@dataclass(frozen=True)
class CaseResult:
    """Every click of one case, and the baselines for its first click.

    Attributes:
        case: Name.
        clicks: At least one; the last one is perfect where they are fewer than the protocol's.
        baselines: By name.
        kept: Box of the original image that was used.
        beside: Per method that was given the same clicks its Dice after each of them.
        repeat: 0 for the first draw of the first click.
    """

    case: str
    clicks: tuple[ClickResult, ...]
    baselines: dict[str, Agreement]
    kept: VoxelBox
    beside: dict[str, tuple[float, ...]] = field(default_factory=dict)
    repeat: int = 0

    def after(self, click: int) -> Agreement:
        """Agreement after click number `click`; a perfect mask stays as it is."""
        return self.clicks[min(click, len(self.clicks)) - 1].agreement

    def dice_beside(self, name: str, click: int) -> float:
        """Dice of another method after click number `click`; it stays where there were fewer clicks."""
        return self.beside[name][min(click, len(self.clicks)) - 1]

    @property
    def auc(self) -> float:
        """Area under Dice over clicks 1 to 5 by trapezoids; at most 4."""
        dice = [self.after(click).dice for click in range(1, CLICKS_OF_AUC + 1)]
        return float(np.trapezoid(dice))

    def clicks_to(self, dice: float) -> int | None:
        """The first click after which Dice reaches `dice`; None where it never does."""
        return next((result.click for result in self.clicks if result.agreement.dice >= dice), None)


MaskWriter = Callable[[Case, VoxelBox, int, NDArray[np.bool_]], None]


def evaluate_case(
    method: ClickedMethod,
    case: Case,
    *,
    protocol: EvaluationProtocol,
    beside: Mapping[str, ClickedMethod] | None = None,
    repeat: int = 0,
    on_mask: MaskWriter | None = None,
) -> CaseResult:
    """Run the protocol on one case.

    Args:
        method: What is evaluated.
        case: Image and reference, whole; faces are cut here.
        protocol: How.
        beside: Other methods by name; each sees the same image and is given exactly the clicks of `method`.
        repeat: Which of the protocol's repeats this is, from 0.
        on_mask: Called after each click with the case, the used box, the click's number and the mask in that box.
    """
    used, kept = cut_faces(case, limit_mm=protocol.cut_faces_mm, seed=protocol.seed)
    seen = see(used.image, protocol.shift, name=case.name, seed=protocol.seed)
    kji, positive = first_click(used, protocol=protocol, repeat=repeat), True
    floors = run_baselines(
        seen.image.array,
        seen.seen_voxel(kji),
        seen.image.grid.spacing_kji_mm,
        margin_mm=crop_margin_mm(protocol.cut_faces_mm),
    )
    others = dict(beside or {})
    for each in (method, *others.values()):
        each.start(seen.image)
    results: list[ClickResult] = []
    dice: dict[str, list[float]] = {name: [] for name in others}
    for number in range(1, protocol.clicks + 1):
        mask, result = _click(method, used, seen, kji, positive=positive, number=number)
        results.append(result)
        for name, other in others.items():
            answer, _ = other.click(seen.seen_voxel(kji), positive=positive)
            dice[name].append(compute_dice(seen.on_case(answer), used.reference))
        if on_mask is not None:
            on_mask(case, kept, number, mask)
        following = next_click(used.reference, mask, spacing_kji_mm=used.image.grid.spacing_kji_mm)
        if following is None:
            break
        kji, positive = following
    baselines = {name: _agreement(seen.on_case(mask), used) for name, mask in floors.items()}
    return CaseResult(
        case.name, tuple(results), baselines, kept, {name: tuple(values) for name, values in dice.items()}, repeat
    )


def first_click(case: Case, *, protocol: EvaluationProtocol, repeat: int = 0) -> tuple[int, int, int]:
    """The voxel (k, j, i) of the protocol's first click; a drawn one depends on seed, repeat and the case's name."""
    return place_first_click(case, kind=protocol.first_click, jitter_mm=protocol.jitter_mm, seed=protocol.seed + repeat)


def _click(
    method: ClickedMethod, case: Case, seen: SeenImage, kji: tuple[int, int, int], *, positive: bool, number: int
) -> tuple[NDArray[np.bool_], ClickResult]:
    at = seen.seen_voxel(kji)
    started = time.perf_counter()
    answer, score = method.click(at, positive=positive)
    seconds = time.perf_counter() - started
    mask = seen.on_case(answer)
    x, y, z = (float(value) for value in case.image.grid.kji_to_lps(kji))
    result = ClickResult(
        click=number,
        kji=kji,
        lps_mm=(x, y, z),
        positive=positive,
        agreement=_agreement(mask, case),
        is_obeyed=bool(mask[kji]) == positive,
        score=score,
        seconds=seconds,
    )
    return mask, result


def _agreement(mask: NDArray[np.bool_], case: Case) -> Agreement:
    return compute_agreement(
        mask, case.reference, values_suv=case.image.array, spacing_kji_mm=case.image.grid.spacing_kji_mm
    )
