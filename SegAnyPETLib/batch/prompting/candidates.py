"""Every focus above a threshold becomes a lesion to segment, clicked by rule.

Foci that touch are kept apart by a mask, not by negative clicks: on the body phantom the lesion at the bladder, with
one click and Dice 0.45, reached 0.82 by the mask of its neighbour, 0.58 by a negative click in it, and 0.80 by both
(rule ``percent:41:2.5``, model lite).
"""

from __future__ import annotations

from math import ceil

import numpy as np

from SegAnyPETLib.batch.lesion import Fact, LesionRequest, StudyRequest
from SegAnyPETLib.batch.prompting.body_frame import BodyFrame, find_body
from SegAnyPETLib.batch.prompting.candidate_rule import CandidateRule
from SegAnyPETLib.batch.prompting.foci import (
    HOT_SHARE,
    LEAST_VOLUME_ML,
    SPLITTING_IN_WORDS,
    FociMap,
    Focus,
    ThresholdOf,
    find_foci,
)
from SegAnyPETLib.batch.prompting.physiology import FLAGGING_IN_WORDS, LEAST_HEIGHT_MM, NOT_TOLD, physiology_flags
from SegAnyPETLib.batch.prompting.reference_regions import ReferenceRegion, find_liver
from SegAnyPETLib.batch.prompting.references import Reference, percist_reference
from SegAnyPETLib.batch.prompting.suv_names import fact_name, in_words
from SegAnyPETLib.session.prompts import Point
from SegAnyPETLib.suv import SUVVolume
from SegAnyPETLib.suv.peak import PEAK_RADIUS_MM, find_peak

MOST_CANDIDATES = 100
MOST_LISTED = 200
LARGE_ML = 300.0  # a focus this large may be the liver, which is then looked for
CLICKING_IN_WORDS = (
    f"Each is clicked once, at the deepest voxel of its part with at least {100 * HOT_SHARE:.0f} % of its maximum, and "
    "the voxels of foci that touch it are kept out of it."
)


def request_candidates(image: SUVVolume, rule: CandidateRule) -> StudyRequest:
    """Find all foci of an image by `rule` and ask for each of them.

    At most `MOST_CANDIDATES` are asked for, those with the highest product of volume and mean SUV; the others are
    listed in the notes. The order is by volume, the largest first.

    Raises:
        InputError: A reference region that the rule gives does not lie in the image.
    """
    body = find_body(image)
    reference = percist_reference(image, body, rule) if rule.method == "percist" else None
    seed_suv, threshold_of, sentence = _threshold(image, rule, reference)
    found = find_foci(image, seed_suv=seed_suv, threshold_of=threshold_of)
    flags = physiology_flags(image, found, body, liver=_liver(image, body, found, reference))
    by_uptake = sorted(found.foci, key=lambda focus: (-focus.uptake, focus.number))
    kept = {focus.number for focus in by_uptake[:MOST_CANDIDATES]}
    chosen = [focus for focus in found.foci if focus.number in kept]
    lesions = tuple(
        _request(image, found, focus, n, origin=f"candidate, {sentence}", physiology=flags.get(focus.number), rule=rule)
        for n, focus in enumerate(chosen, start=1)
    )
    facts: dict[str, Fact] = {"candidate_rule": str(rule), fact_name("seed_threshold", image): seed_suv}
    if reference is not None:
        facts |= reference.facts(image)
    facts |= {
        "foci_found": len(found.foci),
        "foci_flagged_physiological": len(flags),
        "foci_left_out_small_or_faint": found.left_out,
    }
    notes = [*(reference.notes if reference is not None else ()), *_notes(found, body)]
    notes += _beyond_limit(image, by_uptake[MOST_CANDIDATES:])
    return StudyRequest(lesions, _in_words(sentence), facts, tuple(notes))


def _threshold(image: SUVVolume, rule: CandidateRule, reference: Reference | None) -> tuple[float, ThresholdOf, str]:
    """What a focus must reach, what its voxels must reach, and both in words."""
    if reference is not None:
        level = reference.threshold_suv
        return level, lambda _highest: level, f"{in_words(level, image)} or more ({reference.words})"
    if rule.percent is not None:
        share, floor = rule.percent / 100.0, rule.lowest_suv
        words = f"{rule.percent:g} % of each focus's own maximum or more, not below {in_words(floor, image)}"
        return floor, lambda highest: max(floor, share * highest), words
    level = rule.suv or 0.0
    return level, lambda _highest: level, f"{in_words(level, image)} or more"


def _in_words(sentence: str) -> str:
    return (
        f"Candidates: all foci of {sentence}, of at least {LEAST_VOLUME_ML:g} ml, connected over faces, edges or "
        f"corners, that still reach the threshold when smoothed. {SPLITTING_IN_WORDS} {CLICKING_IN_WORDS} "
        + FLAGGING_IN_WORDS
    )


def _liver(
    image: SUVVolume, body: BodyFrame | None, found: FociMap, reference: Reference | None
) -> ReferenceRegion | None:
    if reference is not None and reference.region is not None and reference.region.organ == "liver":
        return reference.region
    if any(focus.volume_ml >= LARGE_ML for focus in found.foci):
        return find_liver(image, body)
    return None


def _request(
    image: SUVVolume,
    found: FociMap,
    focus: Focus,
    number: int,
    *,
    origin: str,
    physiology: str | None,
    rule: CandidateRule,
) -> LesionRequest:
    x, y, z = (float(v) for v in image.grid.kji_to_lps(focus.click_kji))
    facts: dict[str, Fact] = {
        fact_name("focus_max", image): focus.suv_max,
        fact_name("focus_mean", image): focus.suv_mean,
        fact_name("focus_threshold", image): focus.threshold_suv,
        "focus_volume_above_threshold_ml": focus.volume_ml,
        "touching_foci": len(focus.touches),
    }
    if rule.method == "percist":
        peak_suv = _peak_suv(image, focus)
        facts |= {
            fact_name("focus_peak", image): peak_suv,
            "is_measurable_by_percist": peak_suv >= focus.threshold_suv,
        }
    return LesionRequest(
        label=f"Focus {number}",
        prompts=(Point((x, y, z)),),
        origin=origin,
        physiology=physiology,
        keep_apart=found.neighbours_mask(focus),
        facts=facts,
    )


def _peak_suv(image: SUVVolume, focus: Focus) -> float:
    """Highest mean in a sphere of 1 ml around a voxel of the focus; the sphere may leave the focus."""
    reach = ceil(PEAK_RADIUS_MM / min(image.grid.spacing_ijk_mm)) + 1
    around = focus.box.expanded(reach).intersection(image.grid.box)
    mask = np.zeros(around.shape_kji, dtype=bool)
    mask[focus.box.shifted([-n for n in around.start_kji]).slices] = focus.mask
    return find_peak(image.array[around.slices], mask, grid=image.grid.crop(around)).value


def _notes(found: FociMap, body: BodyFrame | None) -> list[str]:
    notes = []
    if not found.foci:
        notes.append("No focus reaches the threshold, so there is nothing to segment.")
    elif body is None or body.height_mm < LEAST_HEIGHT_MM:
        notes.append(NOT_TOLD)
    if found.left_out:
        notes.append(
            f"{found.left_out} part(s) above the threshold are smaller than {LEAST_VOLUME_ML:g} ml or fall below the "
            "threshold when smoothed; they were left out."
        )
    return notes


def _beyond_limit(image: SUVVolume, others: list[Focus]) -> list[str]:
    """What is not asked for because there are too many foci."""
    if not others:
        return []
    listed = [
        f"({', '.join(f'{v:.0f}' for v in image.grid.kji_to_lps(focus.click_kji))}) mm: SUVmax {focus.suv_max:.1f}, "
        f"{focus.volume_ml:.1f} ml"
        for focus in others[:MOST_LISTED]
    ]
    more = f"; and {len(others) - MOST_LISTED} more with less uptake" if len(others) > MOST_LISTED else ""
    return [
        f"{MOST_CANDIDATES + len(others)} foci were found; the {MOST_CANDIDATES} with most uptake are segmented, these "
        f"{len(others)} are not (place in LPS): {'; '.join(listed)}{more}. Raise the threshold, or give prompts."
    ]
