"""What the click protocol shows about a model's confidence: how often each logit was right, and each mask's volume.

Logits are counted in bins of 0.05, so every fit after it is exact to that width and needs no image again.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.clicks import next_click
from SegAnyPETLib.errors import SegAnyPETWarning
from SegAnyPETLib.evaluation import cut_faces
from SegAnyPETLib.evaluation.protocol import first_click
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session import Point

if TYPE_CHECKING:
    from SegAnyPETLib.evaluation import Case, EvaluationProtocol
    from SegAnyPETLib.session import InteractiveSession, Prediction

Counts = NDArray[np.int64]

LARGEST_LOGIT = 10.0
BINS = 400  # an edge lies at zero, so that no bin holds both sides of the mask's border
CENTRES = (np.arange(BINS) + 0.5) * (2 * LARGEST_LOGIT / BINS) - LARGEST_LOGIT
DOMAIN_MM = 20.0  # around the box of mask and reference: where a reader would look


@dataclass(frozen=True, eq=False)
class Observation:
    """One mask of one case.

    Attributes:
        case: Name.
        fold: Which weights made it, or 0.
        click: Number of clicks it is for.
        inside: (BINS,), voxels of the domain in the reference, by logit.
        outside: (BINS,), those outside the reference.
        absent: Voxels of the domain that have no logit (probability 0): in the reference, and outside.
        near: (BINS,), voxels near the mask whatever they are, by logit (see `ObjectLogits.near`).
        voxel_ml: Volume of a voxel in ml.
        mask_voxels: Voxels in the mask.
        reference_voxels: Voxels in the reference.
        dice: Of mask and reference.
        soft_dice: The session's uncalibrated one.
    """

    case: str
    fold: int
    click: int
    inside: Counts
    outside: Counts
    absent: tuple[int, int]
    near: Counts
    voxel_ml: float
    mask_voxels: int
    reference_voxels: int
    dice: float
    soft_dice: float

    @property
    def mask_ml(self) -> float:
        """Volume of the mask."""
        return self.mask_voxels * self.voxel_ml

    @property
    def reference_ml(self) -> float:
        """The true volume."""
        return self.reference_voxels * self.voxel_ml

    @property
    def domain_voxels(self) -> int:
        """Number of voxels that were counted."""
        return int(self.inside.sum() + self.outside.sum() + sum(self.absent))


def observe_case(
    session: InteractiveSession, case: Case, *, protocol: EvaluationProtocol, fold: int
) -> Iterator[Observation]:
    """Run the click protocol on one case, and count after each click; fewer clicks where the mask becomes perfect.

    Args:
        session: Of the model; its image is replaced.
        case: Image and reference.
        protocol: Number and kind of clicks, faces to cut.
        fold: Noted in the observations.
    """
    seen, _ = cut_faces(case, limit_mm=protocol.cut_faces_mm, seed=protocol.seed)
    grid = seen.image.grid
    session.set_image(seen.image)
    kji, positive = first_click(seen, protocol=protocol), True
    for number in range(1, protocol.clicks + 1):
        x, y, z = (float(value) for value in grid.kji_to_lps(kji))
        session.add(Point(lps_mm=(x, y, z), positive=positive))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SegAnyPETWarning)
            prediction = session.predict()
        yield _observe(prediction, seen, number=number, fold=fold)
        following = next_click(seen.reference, prediction.mask, spacing_kji_mm=grid.spacing_kji_mm)
        if following is None:
            return
        kji, positive = following


def _observe(prediction: Prediction, case: Case, *, number: int, fold: int) -> Observation:
    grid, mask, reference = prediction.grid, prediction.mask, case.reference
    domain = _grown(VoxelBox.of_mask(mask | reference), grid.spacing_kji_mm).intersection(VoxelBox.of_shape(mask.shape))
    logits = np.full(domain.shape_kji, -np.inf, dtype=np.float32)
    known = domain.intersection(prediction.logits.box)
    if not known.is_empty:
        offset = [-n for n in prediction.logits.box.start_kji]
        logits[known.shifted([-n for n in domain.start_kji]).slices] = prediction.logits.values[
            known.shifted(offset).slices
        ]
    truth = reference[domain.slices]
    has_none = np.isneginf(logits)
    return Observation(
        case=case.name,
        fold=fold,
        click=number,
        inside=_counted(logits[truth & ~has_none]),
        outside=_counted(logits[~truth & ~has_none]),
        absent=(int(np.count_nonzero(truth & has_none)), int(np.count_nonzero(~truth & has_none))),
        near=_counted(prediction.logits.near(prediction.packed, grid)),
        voxel_ml=float(np.prod(grid.spacing_kji_mm)) / 1000.0,
        mask_voxels=int(np.count_nonzero(mask)),
        reference_voxels=int(np.count_nonzero(reference)),
        dice=2.0 * np.count_nonzero(mask & reference) / (np.count_nonzero(mask) + np.count_nonzero(reference)),
        soft_dice=prediction.soft_dice,
    )


def _counted(logits: NDArray[np.float32]) -> Counts:
    """Voxels per bin; logits beyond the outer bins are counted in them, minus infinity is not counted."""
    finite = logits[~np.isneginf(logits)].astype(np.float64)
    index = np.floor((finite + LARGEST_LOGIT) * (BINS / (2 * LARGEST_LOGIT))).astype(np.int64)
    return np.bincount(np.clip(index, 0, BINS - 1), minlength=BINS)


def _grown(box: VoxelBox, spacing_kji_mm: tuple[float, float, float]) -> VoxelBox:
    steps = np.ceil(DOMAIN_MM / np.asarray(spacing_kji_mm)).astype(int)
    low, high = np.subtract(box.start_kji, steps), np.add(box.stop_kji, steps)
    return VoxelBox((int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))
