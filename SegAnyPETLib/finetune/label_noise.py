"""How people and programs mislabel lesions, for tests and for the study of what helps against it.

Each kind is either systematic (the same mistake in every case of a cohort) or different in each case with mean zero.
Amounts are in millimetres and follow the signed distance, so they mean the same on every grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.finetune.signed_distance import Spacing, signed_distance_mm

NoiseKind = Literal["dilated", "eroded", "threshold", "shifted", "part missing", "random size", "ragged"]
KINDS: tuple[NoiseKind, ...] = get_args(NoiseKind)
SYSTEMATIC: tuple[NoiseKind, ...] = ("dilated", "eroded", "threshold", "shifted", "part missing")
SMALLEST_VOXELS = 4
CASE_SPREAD = 0.25  # standard deviation between cases of a systematic amount, as a share of it
RAGGED_MM = 8.0  # correlation length of a ragged border


@dataclass(frozen=True)
class LabelNoise:
    """One way to mislabel.

    Attributes:
        kind: Which.
        amount: Millimetres by which a border is moved (dilated, eroded), its standard deviation (random size, ragged),
            or by which the label is shifted; for a threshold its share of the hottest voxel; for a missing part the
            share of the lesion's length that is cut off.

    Raises:
        InputError: The kind is unknown or the amount not positive.
    """

    kind: NoiseKind
    amount: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not self.amount > 0:
            msg = f"Expected one of {', '.join(KINDS)} and an amount above 0; found {self.kind!r}, {self.amount}."
            raise InputError(msg)


def add_label_noise(
    rng: np.random.Generator,
    label: NDArray[np.bool_],
    suv: NDArray[np.float32],
    *,
    noise: LabelNoise,
    spacing_kji_mm: Spacing,
) -> NDArray[np.bool_]:
    """A mislabelled copy; the label itself where the mistake would leave fewer than four voxels.

    Args:
        rng: Draws what differs between cases.
        label: The true label, (K, J, I).
        suv: The image, (K, J, I); a threshold is drawn on it.
        noise: Which mistake, and how large.
        spacing_kji_mm: Voxel size along k, j, i.

    Raises:
        GeometryError: The label has no border.
    """
    case = _Case(rng, label, suv, noise.amount, spacing_kji_mm)
    wrong = _WAYS[noise.kind](case)
    return wrong if wrong.sum() >= SMALLEST_VOXELS else label.copy()


@dataclass(frozen=True, eq=False)
class _Case:
    rng: np.random.Generator
    label: NDArray[np.bool_]
    suv: NDArray[np.float32]
    amount: float
    spacing: Spacing

    def moved(self, outward_mm: float | NDArray[np.floating]) -> NDArray[np.bool_]:
        """The label with its border moved, everywhere alike or by a field."""
        return np.asarray(signed_distance_mm(self.label, spacing_kji_mm=self.spacing) > -np.asarray(outward_mm))


def _dilated(case: _Case) -> NDArray[np.bool_]:
    return case.moved(case.amount * (1 + CASE_SPREAD * case.rng.standard_normal()))


def _eroded(case: _Case) -> NDArray[np.bool_]:
    return case.moved(-case.amount * (1 + CASE_SPREAD * case.rng.standard_normal()))


def _random_size(case: _Case) -> NDArray[np.bool_]:
    return case.moved(case.amount * case.rng.standard_normal())


def _ragged(case: _Case) -> NDArray[np.bool_]:
    """A border moved in and out by a smooth random field of unit variance times the amount."""
    sigma = [RAGGED_MM / size for size in case.spacing]
    field = ndimage.gaussian_filter(case.rng.standard_normal(case.label.shape), sigma, mode="wrap")
    return case.moved(case.amount * field / field.std())


def _threshold(case: _Case) -> NDArray[np.bool_]:
    """What lies above a share of the hottest voxel and hangs together with it, near the lesion."""
    near = case.moved(2 * max(case.spacing))
    hottest = float(case.suv[case.label].max())
    above = near & (case.suv >= case.amount * hottest)
    parts, _count = ndimage.label(above)
    seed = np.unravel_index(int(np.where(case.label, case.suv, -np.inf).argmax()), case.label.shape)
    return np.asarray(parts == parts[seed])


def _shifted(case: _Case) -> NDArray[np.bool_]:
    """The whole label elsewhere, in a direction that differs from case to case."""
    direction = case.rng.standard_normal(3)
    steps = case.amount * direction / np.linalg.norm(direction) / case.spacing
    moved = ndimage.shift(case.label.astype(np.float32), steps, order=1)
    return np.asarray(moved >= 0.5)


def _part_missing(case: _Case) -> NDArray[np.bool_]:
    """Cut off by a plane across a random direction."""
    direction = case.rng.standard_normal(3)
    index = np.argwhere(case.label)
    along = (index * case.spacing) @ (direction / np.linalg.norm(direction))
    kept = index[along <= along.max() - case.amount * (along.max() - along.min())]
    wrong = np.zeros_like(case.label)
    wrong[tuple(kept.T)] = True
    return wrong


_WAYS: dict[NoiseKind, Callable[[_Case], NDArray[np.bool_]]] = {
    "dilated": _dilated,
    "eroded": _eroded,
    "threshold": _threshold,
    "shifted": _shifted,
    "part missing": _part_missing,
    "random size": _random_size,
    "ragged": _ragged,
}
