"""Foci: connected voxels above a threshold, touching ones kept apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.batch.prompting.bulges import BULGES_IN_WORDS, depth_mm, opened, split_bulges
from SegAnyPETLib.batch.prompting.splitting import Labels, SaddleRule, split_by_saddles, touching_pairs
from SegAnyPETLib.batch.prompting.suv_names import typical_limit
from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.suv import SUVVolume

NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)
FWHM_PER_SIGMA = 2.3548
LEAST_VOLUME_ML = 0.2
SMOOTHING_FWHM_MM = 5.0  # before peaks are looked for, so that noise makes none
SADDLE_SHARE = 0.75
SADDLE_DROP_SUVBW = 0.5
PEAK_DISTANCE_MM = 8.0
NECK_SHARE = 0.7
LEAST_RADIUS_MM = 5.0
MOST_ROUNDS = 5  # of foci beneath hotter ones
HOT_SHARE = 0.7  # of a focus's maximum: the part in whose middle it is clicked

SPLITTING_IN_WORDS = (
    f"Touching foci are two where, on the image smoothed by {SMOOTHING_FWHM_MM:g} mm, the way between their peaks "
    f"falls to {100 * SADDLE_SHARE:.0f} % of the lower peak or less (and by SUVbw {SADDLE_DROP_SUVBW:g} or more) and "
    f"the peaks lie {PEAK_DISTANCE_MM:g} mm apart or more; or where, holes filled, a neck between two parts, each at "
    f"least {2 * LEAST_RADIUS_MM:g} mm thick, is at most {100 * NECK_SHARE:.0f} % as thick as the thinner part. "
    + BULGES_IN_WORDS
)

ThresholdOf = Callable[[float], float]  # the maximum of a focus -> the threshold of its voxels


@dataclass(frozen=True, eq=False)
class Focus:
    """One focus.

    Attributes:
        number: Its label in `FociMap.labels`.
        box: The smallest box around it.
        mask: Its voxels in `box`.
        component: Foci that were connected before they were split have the same number.
        suv_max: Its highest voxel.
        suv_mean: Mean of its voxels.
        threshold_suv: Every voxel has at least this.
        volume_ml: Of its voxels.
        centroid_lps_mm: Mean position of its voxels.
        click_kji: Where it is clicked: the deepest voxel of its part with at least 70 % of its maximum.
        touches: Numbers of the foci that touch it.
    """

    number: int
    box: VoxelBox
    mask: NDArray[np.bool_] = field(repr=False)
    component: int
    suv_max: float
    suv_mean: float
    threshold_suv: float
    volume_ml: float
    centroid_lps_mm: tuple[float, float, float]
    click_kji: tuple[int, int, int]
    touches: tuple[int, ...] = ()

    @cached_property
    def uptake(self) -> float:
        """Volume times mean SUV: by this, foci are kept where there are too many."""
        return self.volume_ml * self.suv_mean


@dataclass(frozen=True, eq=False)
class FociMap:
    """All foci of an image.

    Attributes:
        foci: The largest first.
        labels: (K, J, I); the number of the focus of every voxel, 0 for none.
        left_out: Parts above the threshold that were smaller than `LEAST_VOLUME_ML`, or fell below it when smoothed.
    """

    foci: tuple[Focus, ...]
    labels: Labels = field(repr=False)
    left_out: int

    def neighbours_mask(self, focus: Focus) -> NDArray[np.bool_] | None:
        """(K, J, I), the voxels of all foci that touch this one; None where none does."""
        return np.isin(self.labels, focus.touches) if focus.touches else None


def find_foci(image: SUVVolume, *, seed_suv: float, threshold_of: ThresholdOf) -> FociMap:
    """Find all foci of an image.

    Args:
        image: In SUV.
        seed_suv: A focus has a voxel of at least this.
        threshold_of: From the maximum of a focus to what its voxels must reach, at least `seed_suv`.
    """
    inside = image.array >= np.float32(seed_suv)
    labels = np.zeros(image.grid.shape_kji, dtype=np.int32)
    box = VoxelBox.of_mask(inside)
    if box.is_empty:
        return FociMap((), labels, 0)
    values, smooth = image.array[box.slices], _smoothed(image, box)
    part, small_parts = _without_small(inside[box.slices], smooth >= np.float32(seed_suv), image.grid)
    by_shape = split_bulges(values, _split_by_peaks(smooth, part, image), image.grid)
    cut, thresholds, small_cuts = _cut_each(values, by_shape, image.grid, threshold_of)
    components, _ = ndimage.label(part, structure=NEIGHBOURS_26)
    labels[box.slices], thresholds = _split_by_necks(smooth, cut, thresholds, image.grid)
    foci = _described(image, labels, box, components, thresholds)
    return FociMap(foci, labels, small_parts + small_cuts)


def _fewest_voxels(grid: Grid) -> int:
    return ceil(LEAST_VOLUME_ML / grid.voxel_volume_ml - 1e-9)


def _without_small(inside: NDArray[np.bool_], is_seed: NDArray[np.bool_], grid: Grid) -> tuple[NDArray[np.bool_], int]:
    """The connected parts that are large enough and hold a seed, and the number of the others."""
    labels, count = ndimage.label(inside, structure=NEIGHBOURS_26)
    is_kept = np.bincount(labels.ravel(), minlength=count + 1) >= _fewest_voxels(grid)
    is_kept &= np.bincount(labels[is_seed], minlength=count + 1) > 0
    is_kept[0] = False
    return is_kept[labels], count - int(is_kept.sum())


def _smoothed(image: SUVVolume, box: VoxelBox) -> NDArray[np.float32]:
    """The image in `box`, smoothed by `SMOOTHING_FWHM_MM`."""
    sigma = [SMOOTHING_FWHM_MM / FWHM_PER_SIGMA / s for s in image.grid.spacing_kji_mm]
    around = box.expanded(max(ceil(4 * s) for s in sigma)).intersection(image.grid.box)
    smooth = ndimage.gaussian_filter(image.array[around.slices], sigma, mode="nearest")
    return np.asarray(smooth[box.shifted([-n for n in around.start_kji]).slices])


def _split_by_peaks(smooth: NDArray[np.float32], inside: NDArray[np.bool_], image: SUVVolume) -> Labels:
    drop, fewest = typical_limit(SADDLE_DROP_SUVBW, image), _fewest_voxels(image.grid)
    rule = SaddleRule(SADDLE_SHARE, drop, 0.0, PEAK_DISTANCE_MM, fewest)
    return split_by_saddles(smooth, inside, rule=rule, spacing_kji_mm=image.grid.spacing_kji_mm)


def _cut_each(
    values: NDArray[np.float32], labels: Labels, grid: Grid, threshold_of: ThresholdOf
) -> tuple[Labels, list[float], int]:
    """Each focus at its own threshold, in connected parts; a part that is too small is left out and counted.

    Of what falls below the threshold of a hot neighbour, thick parts are foci again, with a maximum of their own.

    Returns:
        Labels, the threshold of each, and how many parts were left out.
    """
    cut = np.zeros_like(labels)
    thresholds: list[float] = []
    left_out = 0
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        remaining = labels[where] == number
        for _ in range(MOST_ROUNDS):
            threshold = threshold_of(float(values[where][remaining].max()))
            above = remaining & (values[where] >= np.float32(threshold))
            large, small = _without_small(above, above, grid)
            parts, count = ndimage.label(large, structure=NEIGHBOURS_26)
            cut[where][large] = parts[large] + len(thresholds)
            thresholds += [threshold] * count
            left_out += small
            remaining = opened(remaining & ~above, LEAST_RADIUS_MM, grid)
            if not remaining.any():
                break
    return cut, thresholds, left_out


def _split_by_necks(
    smooth: NDArray[np.float32], labels: Labels, thresholds: list[float], grid: Grid
) -> tuple[Labels, list[float]]:
    """Each focus apart at its necks, by basins of the depth below its surface; thresholds are handed down."""
    rule = SaddleRule(NECK_SHARE, 0.0, LEAST_RADIUS_MM, PEAK_DISTANCE_MM, _fewest_voxels(grid))
    split = np.zeros_like(labels)
    handed: list[float] = []
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        mask = labels[where] == number
        # Depth is that below the outer surface of the smoothed focus: neither noise that bores holes into it nor a
        # necrotic core or a ventricle makes necks.
        level = np.float32(thresholds[number - 1])
        solid = ndimage.binary_fill_holes(mask | ((labels[where] == 0) & (smooth[where] >= level)))
        parts = split_by_saddles(depth_mm(solid, grid), solid, rule=rule, spacing_kji_mm=grid.spacing_kji_mm)
        present, renumbered = np.unique(parts[mask], return_inverse=True)
        split[where][mask] = renumbered + 1 + len(handed)
        handed += [thresholds[number - 1]] * len(present)
    return split, handed


def _described(
    image: SUVVolume, labels: Labels, box: VoxelBox, components: Labels, thresholds: list[float]
) -> tuple[Focus, ...]:
    touches: dict[int, list[int]] = {}
    for first, second in touching_pairs(labels[box.slices]):
        touches.setdefault(first, []).append(second)
        touches.setdefault(second, []).append(first)
    foci = []
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        mask = labels[where] == number
        values = image.array[where][mask].astype(np.float64)
        start = tuple(s.start for s in where)
        hot = mask & (image.array[where] >= np.float32(HOT_SHARE * values.max()))
        click = np.add(deepest_voxel(hot, spacing_kji_mm=image.grid.spacing_kji_mm), start)
        x, y, z = (float(v) for v in image.grid.kji_to_lps(np.argwhere(mask).mean(axis=0) + start))
        inside_box = tuple(slice(s.start - b, s.stop - b) for s, b in zip(where, box.start_kji, strict=True))
        foci.append(
            Focus(
                number=number,
                box=VoxelBox.of_shape(mask.shape).shifted(start),
                mask=mask,
                component=int(components[inside_box][mask][0]),
                suv_max=float(values.max()),
                suv_mean=float(values.mean()),
                threshold_suv=thresholds[number - 1],
                volume_ml=len(values) * image.grid.voxel_volume_ml,
                centroid_lps_mm=(x, y, z),
                click_kji=(int(click[0]), int(click[1]), int(click[2])),
                touches=tuple(sorted(touches.get(number, ()))),
            )
        )
    return tuple(sorted(foci, key=lambda focus: (-focus.volume_ml, -focus.suv_max, focus.number)))
