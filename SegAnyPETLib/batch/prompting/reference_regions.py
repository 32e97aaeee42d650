"""The reference regions of PERCIST 1.0: a sphere in the liver, a short cylinder in the descending aorta.

    liver        sphere of 3 cm in the right lobe        threshold = 1.5 mean + 2 SD
    blood pool   1 cm wide and 2 cm long, in the descending thoracic aorta, along it
                                                          threshold = 2.0 mean + 2 SD

PERCIST states them for SUL. Both sides of the comparison scale with the normalizer, which is one number per patient, so
SUVbw, SUVibw and SUVbsa choose the very same voxels.

Finding them without a CT is a matter of likelihood. The liver is told by its size, evenness and place; a large even
spleen on a wrong side, a right kidney or a large even tumour in the right upper abdomen could take its place, and a
liver full of metastases is meant not to be found. The aorta is told by being a warm column beside the spine; on noisy
images a vertebral column with active marrow could be taken for it. Whoever uses the numbers should look at the place,
which is named.

Source:
    Wahl, Jacene, Kasamon, Lodge 2009, J Nucl Med 50 Suppl 1, 122S-150S.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.batch.prompting.body_frame import BodyFrame
from SegAnyPETLib.batch.prompting.suv_names import typical_limit
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.suv import SUVVolume

Float3 = tuple[float, float, float]
FloatArray = NDArray[np.float64]
Organ = Literal["liver", "blood pool"]

LIVER_RADIUS_MM = 15.0
AORTA_RADIUS_MM = 5.0
AORTA_HALF_LENGTH_MM = 10.0
FACTORS: dict[Organ, tuple[float, float]] = {"liver": (1.5, 2.0), "blood pool": (2.0, 2.0)}  # of mean and SD
FEWEST_VOXELS = 8

LEAST_HEIGHT_MM = 400.0  # less of the body does not tell where a place in it is
STEP_MM = 8.0
LIVER_SUVBW = (1.0, 4.0)
LIVER_HEIGHT = (0.35, 0.85)  # share of the body shown
LIVER_TO_RIGHT_MM = (20.0, 130.0)
LIVER_VARIATION = 0.20
LIVER_LEAST_ML = 100.0  # of centres; the liver itself is larger by a rim of 15 mm
LIVER_IN_WORDS = (
    "the largest set of places (100 ml or more) in the right half of the body, between 35 % and 85 % of its height, "
    "where a sphere of 3 cm has a mean of SUVbw 1 to 4 (scaled to the SUV kind) and a coefficient of variation of 20 % "
    "or less; the sphere lies deepest in it"
)

AORTA_SUVBW = (0.7, 3.0)
AORTA_HEIGHT = (0.45, 0.80)
AORTA_TO_LEFT_MM = (-5.0, 45.0)
AORTA_TO_BACK_MM = (5.0, 75.0)
AORTA_VARIATION = 0.25
AORTA_CONTRAST = 1.3
AORTA_COLUMN_HALF_MM = 30.0
AORTA_RING_MM = (16.0, 24.0)
AORTA_IN_WORDS = (
    "the column of 1 by 6 cm left of the middle, in the back half of the body, between 45 % and 80 % of its height, "
    "with a mean of SUVbw 0.7 to 3 (scaled to the SUV kind), a coefficient of variation of 25 % or less, and the "
    "highest ratio, 1.3 or more, to the median of a ring 16 to 24 mm around it; the cylinder lies in its middle"
)


@dataclass(frozen=True)
class ReferenceRegion:
    """What was measured in a reference region.

    Attributes:
        organ: Liver or blood pool.
        centre_lps_mm: Middle of the sphere or cylinder.
        mean_suv: Of the voxels whose centre lies in it.
        sd_suv: Their standard deviation, with division by their number.
        voxel_count: Their number.
        is_given: A person said where it is; found by rule otherwise.
    """

    organ: Organ
    centre_lps_mm: Float3
    mean_suv: float
    sd_suv: float
    voxel_count: int
    is_given: bool

    @property
    def threshold_suv(self) -> float:
        """From which uptake on a lesion is measurable."""
        of_mean, of_sd = FACTORS[self.organ]
        return of_mean * self.mean_suv + of_sd * self.sd_suv


def measure_reference(image: SUVVolume, organ: Organ, centre_lps_mm: Float3, *, is_given: bool) -> ReferenceRegion:
    """Measure the region around `centre_lps_mm`.

    Raises:
        InputError: The region reaches out of the image, or holds too few voxels.
    """
    offsets_mm = _sphere(LIVER_RADIUS_MM) if organ == "liver" else _cylinder()
    reach = np.abs(offsets_mm).max(axis=0)
    grid = image.grid
    corners = np.stack(np.meshgrid(*zip(-reach, reach, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
    if not all(grid.contains_kji(grid.lps_to_kji(centre_lps_mm + corner)) for corner in corners):
        low, high = grid.bounds_lps_mm
        msg = (
            f"Expected the {organ} region around {centre_lps_mm} mm (LPS) within the image, which reaches from {low} "
            f"to {high} mm. Give another place."
        )
        raise InputError(msg)
    values = _values_in(image, organ, centre_lps_mm, reach)
    if len(values) < FEWEST_VOXELS:
        msg = (
            f"Expected at least {FEWEST_VOXELS} voxels in the {organ} region; found {len(values)}: they are too large."
        )
        raise InputError(msg)
    return ReferenceRegion(organ, centre_lps_mm, float(values.mean()), float(values.std()), len(values), is_given)


def find_liver(image: SUVVolume, body: BodyFrame | None) -> ReferenceRegion | None:
    """The liver's sphere, or None where nothing looks like a liver (see `LIVER_IN_WORDS`)."""
    if body is None or body.height_mm < LEAST_HEIGHT_MM:
        return None
    low, high = (typical_limit(limit, image) for limit in LIVER_SUVBW)
    centres, shape = _lattice(body, LIVER_HEIGHT, (-LIVER_TO_RIGHT_MM[1], -LIVER_TO_RIGHT_MM[0]), None)
    mean, sd = _mean_and_sd(image, centres, _thinned(_sphere(LIVER_RADIUS_MM)))
    qualifies = ((mean >= low) & (mean <= high) & (sd <= LIVER_VARIATION * mean)).reshape(shape)
    labels, count = ndimage.label(qualifies)
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    if not count or sizes.max() * STEP_MM**3 / 1000 < LIVER_LEAST_ML:
        return None
    largest = labels == 1 + int(sizes.argmax())
    depth = ndimage.distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1, 1:-1].ravel()
    evenness = np.divide(sd, mean, out=np.full_like(sd, np.inf), where=mean > 0)
    best = np.lexsort((evenness, -np.round(depth, 6)))[0]
    return measure_reference(image, "liver", _float3(centres[best]), is_given=False)


def find_aorta(image: SUVVolume, body: BodyFrame | None) -> ReferenceRegion | None:
    """The aorta's cylinder, or None where nothing looks like one (see `AORTA_IN_WORDS`)."""
    if body is None or body.height_mm < LEAST_HEIGHT_MM:
        return None
    low, high = (typical_limit(limit, image) for limit in AORTA_SUVBW)
    centres, _ = _lattice(body, AORTA_HEIGHT, AORTA_TO_LEFT_MM, AORTA_TO_BACK_MM, step_mm=STEP_MM / 2)
    mean, sd = _mean_and_sd(image, centres, _disc_column(np.array([0.0, AORTA_RADIUS_MM])))
    fits = np.flatnonzero((mean >= low) & (mean <= high) & (sd <= AORTA_VARIATION * mean))
    if not fits.size:
        return None
    ring = _sampled(image, centres[fits], _disc_column(np.asarray(AORTA_RING_MM)))
    around = np.nanmedian(np.where(np.isfinite(ring).any(axis=1, keepdims=True), ring, 0.0), axis=1)
    ratio = np.divide(mean[fits], around, out=np.zeros(len(fits)), where=around > 0)
    best = int(ratio.argmax())
    if ratio[best] < AORTA_CONTRAST:
        return None
    return measure_reference(image, "blood pool", _float3(centres[fits[best]]), is_given=False)


def _values_in(image: SUVVolume, organ: Organ, centre_lps_mm: Float3, reach: FloatArray) -> FloatArray:
    """The voxels whose centre lies in the region."""
    grid = image.grid
    middle = grid.lps_to_kji(centre_lps_mm)
    half = [ceil(float(np.linalg.norm(reach)) / s) + 1 for s in grid.spacing_kji_mm]
    start, stop = np.floor(middle).astype(int) - half, np.ceil(middle).astype(int) + half + 1
    box = VoxelBox(tuple(start), tuple(stop)).intersection(grid.box)
    offset = _voxel_centres(grid, box) - centre_lps_mm
    if organ == "liver":
        inside = (offset**2).sum(axis=-1) <= LIVER_RADIUS_MM**2
    else:
        inside = (offset[..., :2] ** 2).sum(axis=-1) <= AORTA_RADIUS_MM**2
        inside &= np.abs(offset[..., 2]) <= AORTA_HALF_LENGTH_MM
    return np.asarray(image.array[box.slices][inside], dtype=np.float64)


def _voxel_centres(grid: Grid, box: VoxelBox) -> FloatArray:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in box.shape_kji), indexing="ij"), axis=-1)
    return np.asarray(grid.kji_to_lps(index + np.asarray(box.start_kji)))


def _lattice(
    body: BodyFrame,
    heights: tuple[float, float],
    to_left_mm: tuple[float, float],
    to_back_mm: tuple[float, float] | None,
    *,
    step_mm: float = STEP_MM,
) -> tuple[FloatArray, tuple[int, ...]]:
    """Regular places (n, 3) in a part of the body, and how many lie along z, y and x."""
    lowest, highest = (body.lowest_mm + share * body.height_mm for share in heights)
    z = np.arange(lowest, highest, STEP_MM)
    middles = np.array([_middle(body, height) for height in z])
    left = np.arange(to_left_mm[0], to_left_mm[1] + step_mm, step_mm)
    back = np.arange(*(to_back_mm or (-100.0, 100.0)), step_mm)
    offset_z, offset_y, offset_x = np.meshgrid(np.arange(len(z)), back, left, indexing="ij")
    # One middle for all heights, or the lattice would be torn where arms or hips widen the body.
    x, y = np.median(middles, axis=0)
    places = np.stack([offset_x + x, offset_y + y, z[offset_z]], axis=-1)
    return places.reshape(-1, 3), offset_z.shape


def _middle(body: BodyFrame, z_mm: float) -> tuple[float, float]:
    to_left, to_back = body.from_middle_mm((0.0, 0.0, z_mm))
    return -to_left, -to_back


def _mean_and_sd(image: SUVVolume, centres: FloatArray, offsets_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the voxels nearest to centre plus offset; not a number where one lies outside the image."""
    values = _sampled(image, centres, offsets_mm)
    return values.mean(axis=1), values.std(axis=1)


def _sampled(image: SUVVolume, centres: FloatArray, offsets_mm: FloatArray) -> FloatArray:
    """(centres, offsets): the nearest voxels' values, NaN outside the image."""
    grid = image.grid
    shape = np.asarray(grid.shape_kji)
    step = offsets_mm @ grid.lps_to_ijk[:3, :3].T[:, ::-1]
    first = grid.lps_to_kji(centres)
    found = np.full((len(centres), len(offsets_mm)), np.nan)
    for n, kji in enumerate(step):
        index = np.floor(first + kji + 0.5).astype(int)
        inside = ((index >= 0) & (index < shape)).all(axis=1)
        k, j, i = index[inside].T
        found[inside, n] = image.array[k, j, i]
    return found


def _sphere(radius_mm: float) -> FloatArray:
    line = np.arange(-radius_mm, radius_mm + 1.0, 1.0)
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(grid[(grid**2).sum(axis=1) <= radius_mm**2])


def _thinned(offsets_mm: FloatArray) -> FloatArray:
    """One offset in 5 mm along each axis: enough to tell an even region."""
    return np.asarray(offsets_mm[(np.round(offsets_mm) % 5 == 0).all(axis=1)])


def _cylinder() -> FloatArray:
    r, h = AORTA_RADIUS_MM, AORTA_HALF_LENGTH_MM
    return np.array([(x, y, z) for x in (-r, r) for y in (-r, r) for z in (-h, h)])


def _disc_column(radii_mm: FloatArray) -> FloatArray:
    """Places on circles of `radii_mm` around the axis, every 5 mm along a column."""
    angles = np.arange(8) * np.pi / 4
    heights = np.arange(-AORTA_COLUMN_HALF_MM, AORTA_COLUMN_HALF_MM + 1, 5.0)
    return np.array([(r * np.cos(a), r * np.sin(a), h) for r in radii_mm for a in angles for h in heights])


def _float3(values: FloatArray) -> Float3:
    x, y, z = (round(float(v), 1) for v in values)
    return x, y, z
