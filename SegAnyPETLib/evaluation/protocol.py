"""The click protocol run on one case: click, predict, measure, click into the largest error, again.

The reference reaches the method only through the clicks.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.clicks import deepest_voxel, next_click
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation.baselines import crop_margin_mm, run_baselines
from SegAnyPETLib.evaluation.cases import Case, cut_faces
from SegAnyPETLib.evaluation.metrics import Agreement, compute_agreement
from SegAnyPETLib.geometry import VoxelBox

if TYPE_CHECKING:
    from SegAnyPETLib.evaluation.methods import ClickedMethod

FirstClick = Literal["deepest", "random", "hottest"]
CLICKS_OF_AUC = 5


@dataclass(frozen=True)
class EvaluationProtocol:
    """How every case of a run is treated.

    Attributes:
        clicks: Clicks per case; fewer where the mask becomes perfect.
        first_click: Inside the reference: the voxel deepest inside (the standard), one drawn at random, or
            the one with the highest SUV.
        cut_faces_mm: Each face of the image loses a random 0 to this much (see `cut_faces`); 0 leaves images whole.
        seed: For the faces, a random first click and the bootstrap.

    Raises:
        InputError: A value is out of its range.
    """

    clicks: int = 10
    first_click: FirstClick = "deepest"
    cut_faces_mm: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.clicks < 1 or self.cut_faces_mm < 0 or self.seed < 0 or self.first_click not in get_args(FirstClick):
            msg = (
                "Expected at least one click, a cut of at least 0 mm, a seed of at least 0 and a first click that is "
                f"one of {', '.join(get_args(FirstClick))}; found {self}."
            )
            raise InputError(msg)


@dataclass(frozen=True)
class ClickResult:
    """One click and the mask it led to.

    Attributes:
        click: 1 for the first.
        kji: Clicked voxel, in the image the method saw (cut faces are gone).
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
    """

    case: str
    clicks: tuple[ClickResult, ...]
    baselines: dict[str, Agreement]
    kept: VoxelBox

    def after(self, click: int) -> Agreement:
        """Agreement after click number `click`; a perfect mask stays as it is."""
        return self.clicks[min(click, len(self.clicks)) - 1].agreement

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
    method: ClickedMethod, case: Case, *, protocol: EvaluationProtocol, on_mask: MaskWriter | None = None
) -> CaseResult:
    """Run the protocol on one case.

    Args:
        method: What is evaluated.
        case: Image and reference, whole; faces are cut here.
        protocol: How.
        on_mask: Called after each click with the case, the used box, the click's number and the mask in that box.
    """
    seen, kept = cut_faces(case, limit_mm=protocol.cut_faces_mm, seed=protocol.seed)
    spacing = seen.image.grid.spacing_kji_mm
    kji, positive = first_click(seen, protocol=protocol), True
    floors = run_baselines(seen.image.array, kji, spacing, margin_mm=crop_margin_mm(protocol.cut_faces_mm))
    method.start(seen.image)
    results: list[ClickResult] = []
    for number in range(1, protocol.clicks + 1):
        mask, result = _click(method, seen, kji, positive=positive, number=number)
        results.append(result)
        if on_mask is not None:
            on_mask(case, kept, number, mask)
        following = next_click(seen.reference, mask, spacing_kji_mm=spacing)
        if following is None:
            break
        kji, positive = following
    baselines = {name: _agreement(mask, seen) for name, mask in floors.items()}
    return CaseResult(case.name, tuple(results), baselines, kept)


def first_click(case: Case, *, protocol: EvaluationProtocol) -> tuple[int, int, int]:
    """The voxel (k, j, i) of the first click; a random one depends on the seed and the case's name alone."""
    if protocol.first_click == "deepest":
        return deepest_voxel(case.reference, spacing_kji_mm=case.image.grid.spacing_kji_mm)
    inside = np.flatnonzero(case.reference)
    if protocol.first_click == "hottest":
        flat = inside[np.argmax(case.image.array.reshape(-1)[inside])]
    else:
        generator = np.random.default_rng([protocol.seed, zlib.crc32(case.name.encode()), 1])
        flat = inside[generator.integers(inside.size)]
    k, j, i = (int(index) for index in np.unravel_index(flat, case.reference.shape))
    return k, j, i


def _click(
    method: ClickedMethod, case: Case, kji: tuple[int, int, int], *, positive: bool, number: int
) -> tuple[NDArray[np.bool_], ClickResult]:
    started = time.perf_counter()
    mask, score = method.click(kji, positive=positive)
    seconds = time.perf_counter() - started
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
