"""The rules by which the CT of a PET series is chosen; where they are not enough, none is taken.

The CT is for fusion and the report only: taking the wrong one misleads, taking none does not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from SegAnyPETLib.batch.finding.gathering import SeriesFacts

LEAST_COSINE = 0.95  # between the normals: a gantry may be tilted, reformats stand at right angles
AS_MUCH = 0.95  # of the best coverage of the PET


def choose_ct(
    pet: SeriesFacts, candidates: Sequence[SeriesFacts], *, damaged: Collection[str]
) -> tuple[SeriesFacts | None, str]:
    """The CT of a PET series, and a sentence that says how it was chosen or why there is none.

    It shares the frame of reference of the PET, for else nobody knows how they lie to each other; its slices are
    parallel to those of the PET and overlap them; of those that cover as much of the PET as the best does, it has the
    most slices.

    Args:
        pet: The PET series.
        candidates: The CT series of its study.
        damaged: Series with files that cannot be read; they are not taken.
    """
    whole = [one for one in candidates if one.first.series_instance_uid not in damaged]
    framed = [one for one in whole if _same_frame(pet, one)]
    parallel = [one for one in framed if _is_parallel(pet, one)]
    covering = [(share, one) for one in parallel if (share := _coverage(pet, one)) > 0]
    if not covering:
        return None, _none_because(candidates, whole, framed, parallel)
    best = max(share for share, _ in covering)
    left = [one for share, one in covering if share >= AS_MUCH * best]
    most = max(len(one.files) for one in left)
    longest = [one for one in left if len(one.files) == most]
    if len(longest) > 1:
        return None, f"No CT: {len(longest)} series of {most} slices fit equally well."
    return longest[0], "CT: same frame of reference, overlapping the PET, most slices."


def _same_frame(pet: SeriesFacts, ct: SeriesFacts) -> bool:
    frame = pet.first.frame_of_reference
    return frame is not None and frame == ct.first.frame_of_reference


def _is_parallel(pet: SeriesFacts, ct: SeriesFacts) -> bool:
    if ct.normal is None or ct.has_several_orientations or len(ct.files) < 2:
        return False
    across = pet.normal or (0.0, 0.0, 1.0)  # a multi-frame PET states it for each frame; PET is axial
    return abs(float(np.dot(across, ct.normal))) >= LEAST_COSINE


def _coverage(pet: SeriesFacts, ct: SeriesFacts) -> float:
    """Share of the length of the PET that the CT covers; 1 where the header of a multi-frame PET does not tell."""
    if pet.normal is None or pet.lowest is None or pet.highest is None:
        return 1.0
    if ct.lowest is None or ct.highest is None:
        return 0.0
    ends = sorted(float(np.dot(pet.normal, position)) for _, position in (ct.lowest, ct.highest))
    overlap = min(ends[1], pet.highest[0]) - max(ends[0], pet.lowest[0])
    return max(0.0, overlap) / max(pet.highest[0] - pet.lowest[0], 1e-6)


def _none_because(
    candidates: Sequence[SeriesFacts],
    whole: Sequence[SeriesFacts],
    framed: Sequence[SeriesFacts],
    parallel: Sequence[SeriesFacts],
) -> str:
    if not candidates:
        return "No CT in the study."
    if not whole:
        return "No CT: every CT series has damaged files."
    if not framed:
        return "No CT: none shares the PET's frame of reference."
    if not parallel:
        return "No CT: none is a stack of slices parallel to the PET."
    return "No CT: none overlaps the PET."
