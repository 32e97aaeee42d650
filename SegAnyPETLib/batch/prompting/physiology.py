"""Foci that are probably no lesion, told from the PET alone. They are flagged with the rule in words, never dropped.

Honest doubts. Without a CT an organ is only told by where it is in the part of the body that the image shows, by its
size, shape and uptake, and by whether its counterpart lies on the other side. The heights below fit images from the
head or the skull base to the thighs; on others, and on bodies with an unusual anatomy, they fail. A tumour that looks
like an organ is flagged as one: a hot mass beside the midline in the pelvis as bladder, a left central lung tumour with
a cold middle as heart, two metastases opposite each other as kidneys or glands. An organ that does not look like itself
is not flagged: a single kidney, a faint heart, bowel in short pieces. A lesion within an organ or joined to it
carries the organ's flag. So a flag is a reason to look, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import ndimage

from SegAnyPETLib.batch.prompting.body_frame import BodyFrame
from SegAnyPETLib.batch.prompting.foci import FociMap, Focus
from SegAnyPETLib.batch.prompting.reference_regions import ReferenceRegion
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.suv import SUVVolume

LEAST_HEIGHT_MM = 400.0

BRAIN_LEAST_ML = 150.0
BRAIN_FROM_TOP_MM = 230.0
BRAIN_FROM_MIDDLE_MM = 60.0
BRAIN = "brain: {ml:.0f} ml of joined uptake within 23 cm of the body's upper end, around the midline"

BLADDER_HEIGHT = (0.05, 0.45)
BLADDER_FROM_MIDDLE_MM = 35.0
BLADDER_LEAST_ML = 15.0
BLADDER = "urinary bladder: the focus with most uptake in the lower body within 3.5 cm of the midline, {ml:.0f} ml"

HEART_HEIGHT = (0.45, 0.80)
HEART_TO_LEFT_MM = (0.0, 90.0)
HEART_ML = (30.0, 700.0)
HEART_CORE_SHARE = 0.75
HEART_CORE_MM = 10.0
HEART = "heart: {ml:.0f} ml left of the midline at chest height, with a colder middle"

KIDNEY_HEIGHT = (0.25, 0.70)
KIDNEY_BESIDE_MM = (25.0, 110.0)
KIDNEY_LEAST_ML = 5.0
KIDNEY_BACK_MM = 10.0
KIDNEY = "kidney: one of two alike foci on both sides of the midline in the back half of the abdomen"

GLAND_FROM_TOP_MM = (110.0, 270.0)
GLAND_BESIDE_MM = (15.0, 80.0)
GLAND_ML = (0.3, 60.0)
GLAND = "salivary gland or tonsil: one of two alike foci on both sides of the midline below the brain"

PAIR_HEIGHT_MM = 50.0
PAIR_DEPTH_MM = 40.0
PAIR_SIDE_MM = 35.0
PAIR_VOLUME = 4.0
PAIR_UPTAKE = 2.0

BOWEL_HEIGHT = (0.10, 0.60)
BOWEL_LENGTH_MM = 80.0
BOWEL_FILLING = 0.25
BOWEL = "bowel, doubtful: {mm:.0f} mm long and winding in the front of the abdomen"

LIVER = "liver: the threshold is so low that the focus holds the liver's reference region"

FAINT_MOST_ML = 10.0
FAINT_RATIO = 1.5
FAINT_RING_MM = (6.0, 18.0)
FAINT_QUARTILE = 75  # of the surroundings, because half of them may be lung where a noisy focus lies at a warm edge
FAINT = (
    "uptake hardly above its surroundings: its maximum is {ratio:.2f} times the upper quartile of the uptake 6 to 18 "
    "mm around it, less than 1.5"
)

NOT_TOLD = (
    f"The image shows less than {LEAST_HEIGHT_MM / 10:.0f} cm of the body along its axis, so organs with physiological "
    "uptake were not told from lesions by their place."
)
FLAGGING_IN_WORDS = (
    "Probable physiological uptake (brain, urinary bladder, heart, kidneys, salivary glands, bowel, and uptake hardly "
    "above its surroundings) is flagged by place, size, shape and symmetry in the PET alone, and kept."
)

Float2 = tuple[float, float]


def physiology_flags(
    image: SUVVolume, found: FociMap, body: BodyFrame | None, *, liver: ReferenceRegion | None
) -> Mapping[int, str]:
    """For each focus that is probably no lesion, by number, the reason in words.

    Args:
        image: In SUV.
        found: Its foci.
        body: Where the body is.
        liver: Its reference region, where it is known.
    """
    flags: dict[int, str] = {}
    if body is not None and body.height_mm >= LEAST_HEIGHT_MM:
        places = {focus.number: body.from_middle_mm(focus.centroid_lps_mm) for focus in found.foci}
        for rule in (_brain, _bladder, _heart, _kidneys, _glands, _bowel):
            left = [focus for focus in found.foci if focus.number not in flags]
            flags |= rule(image, left, body, places)
    for focus in found.foci:
        if focus.number not in flags:
            reason = _liver(image, focus, liver) or _faint(image, found, focus)
            flags |= {focus.number: reason} if reason else {}
    return flags


def _brain(image: SUVVolume, foci: Sequence[Focus], body: BodyFrame, places: Mapping[int, Float2]) -> dict[int, str]:
    def is_near(focus: Focus) -> bool:
        in_height = body.highest_mm - focus.centroid_lps_mm[2] <= BRAIN_FROM_TOP_MM
        return in_height and abs(places[focus.number][0]) <= BRAIN_FROM_MIDDLE_MM

    near = [focus for focus in foci if is_near(focus)]
    by_component: dict[int, float] = {}
    for focus in near:
        by_component[focus.component] = by_component.get(focus.component, 0.0) + focus.volume_ml
    large = {component: ml for component, ml in by_component.items() if ml >= BRAIN_LEAST_ML}
    if not large:
        return {}
    ml = max(large.values())
    box = VoxelBox((0, 0, 0), (0, 0, 0))
    for focus in near:
        if focus.component in large:
            box = box.union(focus.box)
    enclosed = [focus for focus in near if box.intersection(focus.box) == focus.box]  # islands in white matter too
    return {focus.number: BRAIN.format(ml=ml) for focus in enclosed}


def _bladder(image: SUVVolume, foci: Sequence[Focus], body: BodyFrame, places: Mapping[int, Float2]) -> dict[int, str]:
    near = [
        focus
        for focus in foci
        if _is_between(body.share_of_height(focus.centroid_lps_mm[2]), BLADDER_HEIGHT)
        and abs(places[focus.number][0]) <= BLADDER_FROM_MIDDLE_MM
        and focus.volume_ml >= BLADDER_LEAST_ML
    ]
    if not near:
        return {}
    hottest = max(near, key=lambda focus: (focus.uptake, focus.number))
    return {hottest.number: BLADDER.format(ml=hottest.volume_ml)}


def _heart(image: SUVVolume, foci: Sequence[Focus], body: BodyFrame, places: Mapping[int, Float2]) -> dict[int, str]:
    return {
        focus.number: HEART.format(ml=focus.volume_ml)
        for focus in foci
        if _is_between(body.share_of_height(focus.centroid_lps_mm[2]), HEART_HEIGHT)
        and _is_between(places[focus.number][0], HEART_TO_LEFT_MM)
        and _is_between(focus.volume_ml, HEART_ML)
        and _middle_suv(image, focus) <= HEART_CORE_SHARE * focus.suv_mean
    }


def _kidneys(image: SUVVolume, foci: Sequence[Focus], body: BodyFrame, places: Mapping[int, Float2]) -> dict[int, str]:
    near = [
        focus
        for focus in foci
        if _is_between(body.share_of_height(focus.centroid_lps_mm[2]), KIDNEY_HEIGHT)
        and places[focus.number][1] >= KIDNEY_BACK_MM
        and focus.volume_ml >= KIDNEY_LEAST_ML
    ]
    return _alike_pairs(near, places, KIDNEY_BESIDE_MM, KIDNEY)


def _glands(image: SUVVolume, foci: Sequence[Focus], body: BodyFrame, places: Mapping[int, Float2]) -> dict[int, str]:
    near = [
        focus
        for focus in foci
        if _is_between(body.highest_mm - focus.centroid_lps_mm[2], GLAND_FROM_TOP_MM)
        and _is_between(focus.volume_ml, GLAND_ML)
    ]
    return _alike_pairs(near, places, GLAND_BESIDE_MM, GLAND)


def _alike_pairs(foci: Sequence[Focus], places: Mapping[int, Float2], beside_mm: Float2, reason: str) -> dict[int, str]:
    flags: dict[int, str] = {}
    for first, second in combinations(foci, 2):
        (x1, y1), (x2, y2) = places[first.number], places[second.number]
        if (
            x1 * x2 < 0
            and all(_is_between(abs(x), beside_mm) for x in (x1, x2))
            and abs(abs(x1) - abs(x2)) <= PAIR_SIDE_MM
            and abs(y1 - y2) <= PAIR_DEPTH_MM
            and abs(first.centroid_lps_mm[2] - second.centroid_lps_mm[2]) <= PAIR_HEIGHT_MM
            and _ratio(first.volume_ml, second.volume_ml) <= PAIR_VOLUME
            and _ratio(first.suv_max, second.suv_max) <= PAIR_UPTAKE
        ):
            flags |= {first.number: reason, second.number: reason}
    return flags


def _bowel(image: SUVVolume, foci: Sequence[Focus], body: BodyFrame, places: Mapping[int, Float2]) -> dict[int, str]:
    flags = {}
    for focus in foci:
        size_mm = np.asarray(focus.box.shape_kji) * image.grid.spacing_kji_mm
        if (
            _is_between(body.share_of_height(focus.centroid_lps_mm[2]), BOWEL_HEIGHT)
            and places[focus.number][1] < KIDNEY_BACK_MM
            and size_mm.max() >= BOWEL_LENGTH_MM
            and focus.mask.mean() <= BOWEL_FILLING
        ):
            flags[focus.number] = BOWEL.format(mm=size_mm.max())
    return flags


def _liver(image: SUVVolume, focus: Focus, liver: ReferenceRegion | None) -> str | None:
    if liver is None or liver.organ != "liver":
        return None
    place = np.subtract(image.grid.nearest_voxel_kji(liver.centre_lps_mm), focus.box.start_kji)
    holds_it = (place >= 0).all() and (place < focus.box.shape_kji).all() and bool(focus.mask[tuple(place)])
    return LIVER if holds_it else None


def _faint(image: SUVVolume, found: FociMap, focus: Focus) -> str | None:
    """Small foci whose maximum is hardly above what lies around them, such as noise in a warm organ."""
    if focus.volume_ml > FAINT_MOST_ML:
        return None
    reach = int(np.ceil(FAINT_RING_MM[1] / min(image.grid.spacing_kji_mm)))
    around = focus.box.expanded(reach).intersection(image.grid.box)
    labels = found.labels[around.slices]
    to_focus = ndimage.distance_transform_edt(labels != focus.number, sampling=image.grid.spacing_kji_mm)
    is_other = (labels > 0) & (labels != focus.number)  # a lesion beside a hot organ is not faint for that
    ring = (to_focus >= FAINT_RING_MM[0]) & (to_focus <= FAINT_RING_MM[1]) & ~is_other
    if not ring.any():
        return None
    ratio = _ratio_to(focus.suv_max, float(np.percentile(image.array[around.slices][ring], FAINT_QUARTILE)))
    return FAINT.format(ratio=ratio) if ratio < FAINT_RATIO else None


def _middle_suv(image: SUVVolume, focus: Focus) -> float:
    """Mean of the voxels within a centimetre of the focus's centre, which may lie outside the focus."""
    grid = image.grid
    index = np.stack(np.meshgrid(*(np.arange(n) for n in focus.box.shape_kji), indexing="ij"), axis=-1)
    offset = grid.kji_to_lps(index + np.asarray(focus.box.start_kji)) - focus.centroid_lps_mm
    near = (offset**2).sum(axis=-1) <= HEART_CORE_MM**2
    return float(image.array[focus.box.slices][near].mean()) if near.any() else float("inf")


def _is_between(value: float, limits: Float2) -> bool:
    return limits[0] <= value <= limits[1]


def _ratio(first: float, second: float) -> float:
    return max(first, second) / min(first, second)


def _ratio_to(value: float, around: float) -> float:
    return value / around if around > 0 else float("inf")
