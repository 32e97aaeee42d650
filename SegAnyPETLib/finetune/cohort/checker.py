"""Open every case of a cohort and say what is wrong with it, before hours are spent on training.

Limits are wide: what is reported should be looked at, and a cohort without mistakes should be passed in silence. The
price is that mistakes are missed. The limits for shifted labels were set on 30 soft-tissue sarcomas whose labels were
drawn on MR: none of them is reported as it is, and of labels moved by 8, 12 and 16 mm only 4, 9 and 27 % are (large
tumours with weak borders; small hot lesions are easier). Silence is no proof, so look at the thumbnails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import GeometryError, SegAnyPETError
from SegAnyPETLib.finetune.cohort.cases import ODD_VALUES, OTHER_GRID, CohortCase, load_case
from SegAnyPETLib.finetune.cohort.cross_case import CaseTraits, copies, leaks, traits_of
from SegAnyPETLib.finetune.cohort.drawn_size import drawn_otherwise, drawn_outside_mm
from SegAnyPETLib.finetune.cohort.findings import SEVERITIES, WHOLE_COHORT, Finding, rounded_ml
from SegAnyPETLib.finetune.cohort.label_place import (
    FARTHEST_MM,
    BorderShells,
    best_shift,
    border_shells,
    mirrored_steps,
)
from SegAnyPETLib.finetune.cohort.label_quality import as_threshold, border_of, threshold_volume_ml, unevenness
from SegAnyPETLib.finetune.cohort.manifest import CohortEntry, Manifest, Quality

if TYPE_CHECKING:
    from SegAnyPETLib.session import SegmentationModel

MOST_OF_IMAGE = 0.5  # share of the image that no label should exceed
CLEAR_STEP = 0.25  # of ln(1 + SUV) across a border: what counts as a better place
HALF = 0.5  # a place is better where the label has at most this share of its step
FLAT_BORDER = 1.1  # uptake inside over outside, below which a border does not follow the uptake
WEAK_BORDER = 1.3
FAR_LARGER, FAR_SMALLER = 10.0, 0.35  # label over the volume above 41 % of the maximum
UNEVEN, TIMES_UNEVEN = 0.06, 3.0  # share of the label changed along one axis, and over the others
FEWEST_UNEVEN = 200  # voxels, below which every label is uneven
SPACING_MM = (1.0, 6.5)  # usual voxel sizes of PET
LONGEST_VOXEL = 4.0  # times its shortest side
LEAST_DICE = 0.4  # of label and model, below which a person should look
OnCase = Callable[[CohortEntry, CohortCase | None, list[Finding]], None]


def check_cohort(
    manifest: Manifest, *, model: SegmentationModel | None = None, on_case: OnCase | None = None
) -> list[Finding]:
    """Check every case and all together; one image at a time is in memory.

    Args:
        manifest: The cohort.
        model: Its agreement with the labels is measured too, with one click on each of the largest lesions.
        on_case: Called after each case with its line, the case (None where it cannot be opened) and what was found.

    Returns:
        Errors first, then warnings, then notes, each in the order of the manifest, what concerns all cases first.
    """
    found: list[Finding] = []
    outside_mm: list[tuple[Quality, float | None]] = []
    traits: list[CaseTraits] = []
    for entry in manifest.entries:
        case, own = _opened(entry)
        if case is not None:
            own += check_case(case, model=model)
            traits.append(traits_of(entry, case))
            outside_mm.append((case.quality, drawn_outside_mm(case)))
        found += own
        if on_case is not None:
            on_case(entry, case, own)
    found += [*leaks(manifest.entries), *copies(traits), *drawn_otherwise(outside_mm)]
    order = {entry.case: n for n, entry in enumerate(manifest.entries)} | {WHOLE_COHORT: -1}
    return sorted(found, key=lambda finding: (SEVERITIES.index(finding.severity), order[finding.case]))


def check_case(case: CohortCase, *, model: SegmentationModel | None = None) -> list[Finding]:
    """What can be said of one case by itself."""
    found = [*_reading(case), *_spacing(case)]
    label = case.label
    voxels = int(label.sum())
    if not voxels:
        message = "its label is empty"
        return [*found, Finding(case.name, "empty", "error", message, "Draw the lesions, or remove the case.")]
    share = voxels / label.size
    if share > MOST_OF_IMAGE:
        message = f"its label fills {100 * share:.0f} % of the image"
        advice = "Check which value of the label means lesion; it may be inverted."
        return [*found, Finding(case.name, "everything", "error", message, advice)]
    shells = border_shells(case.lesions, label, case.grid)
    found += _place(case, shells)
    found += _drawn(case, label, shells)
    if model is not None:
        found += _agreement(case, model)
    return found


def _opened(entry: CohortEntry) -> tuple[CohortCase | None, list[Finding]]:
    try:
        return load_case(entry), []
    except GeometryError as error:
        message = f"label and image do not fit: {error}".rstrip(".")
        return None, [Finding(entry.case, "grid", "error", message, "Correct the files or the manifest.")]
    except SegAnyPETError as error:
        message = f"it cannot be opened: {error}".rstrip(".")
        return None, [Finding(entry.case, "unreadable", "error", message, "Correct the files or the manifest.")]


def _reading(case: CohortCase) -> Iterator[Finding]:
    doubts = set(case.image.provenance.warnings)
    for doubt in case.image.provenance.warnings:
        yield Finding(case.name, "suv", "warning", doubt.rstrip("."), "Check units, dose and weight of the image.")
    for note in case.notes:
        if note.kind == ODD_VALUES:
            advice = "Check that all of them are lesions; label_name in the manifest chooses some."
            yield Finding(case.name, "values", "note", f"its label {note.text}", advice)
        elif note.kind == OTHER_GRID:
            advice = "Look at the thumbnail; resample the label yourself if you know better."
            yield Finding(case.name, "grid", "warning", f"its label {note.text}", advice)
        elif note.text not in doubts:
            yield Finding(case.name, "reading", "note", note.text.rstrip("."), "Nothing, if that is as it should be.")


def _spacing(case: CohortCase) -> Iterator[Finding]:
    spacing = case.grid.spacing_ijk_mm
    low, high = SPACING_MM
    if min(spacing) < low or max(spacing) > high or max(spacing) > LONGEST_VOXEL * min(spacing):
        shown = " x ".join(f"{size:.2f}" for size in spacing)
        message = f"its voxels are {shown} mm, unusual for PET"
        yield Finding(case.name, "spacing", "note", message, "Check that the image is the PET as reconstructed.")


def _place(case: CohortCase, shells: BorderShells) -> Iterator[Finding]:
    best = best_shift(case.suv, shells, case.grid)
    steps = mirrored_steps(case.suv, shells, case.grid)
    axis = max(steps, key=lambda name: steps[name])
    # A better place at the very end of the search is usually the edge of a hot organ.
    reach = FARTHEST_MM - max(case.grid.spacing_ijk_mm) / 2
    is_shifted = best.best_step >= CLEAR_STEP and best.step <= HALF * best.best_step and best.distance_mm <= reach
    if steps[axis] >= CLEAR_STEP and best.step <= HALF * steps[axis] and steps[axis] >= best.best_step:
        message = (
            f"its label fits the image better when mirrored {axis}: the uptake then drops by {_drop(steps[axis])} "
            f"across the border, not by {_drop(best.step)}"
        )
        yield Finding(case.name, "mirrored", "warning", message, "Look at the thumbnail; the label may be flipped.")
    elif is_shifted:
        x, y, z = best.shift_lps_mm
        message = (
            f"its label fits the image better {best.distance_mm:.0f} mm away, {x:+.0f} mm to the left, {y:+.0f} to the "
            f"back, {z:+.0f} to the head: the uptake then drops by {_drop(best.best_step)} across the border, not by "
            f"{_drop(best.step)}"
        )
        yield Finding(case.name, "shifted", "warning", message, "Look at the thumbnail; register the label again.")


def _drop(step: float) -> str:
    """A difference of ln(1 + SUV) in words."""
    return f"{100 * (1 - np.exp(-max(step, 0.0))):.0f} %"


def _drawn(case: CohortCase, label: NDArray[np.bool_], shells: BorderShells) -> Iterator[Finding]:
    border = border_of(case, shells)
    if border.ratio < FLAT_BORDER:
        message = (
            f"its label's border does not follow the uptake: SUV {border.inside_suv:.2f} just inside, "
            f"{border.outside_suv:.2f} just outside"
        )
        yield Finding(case.name, "flat border", "warning", message, "Look at the thumbnail; was it drawn on this PET?")
    yield from _volumes(case, border.ratio)
    yield from _thresholds(case, label)
    uneven = unevenness(label)
    axis = int(np.argmax(uneven))
    others = [share for n, share in enumerate(uneven) if n != axis]
    if int(label.sum()) >= FEWEST_UNEVEN and uneven[axis] > UNEVEN and uneven[axis] > TIMES_UNEVEN * max(others):
        message = (
            f"its label's slices do not fit each other along {'kji'[axis]}: smoothing over three of them changes "
            f"{100 * uneven[axis]:.0f} % of it, along the other axes {100 * max(others):.0f} %"
        )
        advice = "Look for slices that were left out or drawn apart from the others."
        yield Finding(case.name, "jagged", "warning", message, advice)


def _volumes(case: CohortCase, border_ratio: float) -> Iterator[Finding]:
    lesion = case.lesions[0]
    volume = threshold_volume_ml(case, lesion, share=0.41)
    if lesion.volume_ml < FAR_SMALLER * volume:
        message = (
            f"its largest lesion has {rounded_ml(lesion.volume_ml)}, and {rounded_ml(volume)} are above 41 % of its "
            "maximum"
        )
        yield Finding(case.name, "small", "warning", message, "Check that no part of the lesion is missing.")
    elif lesion.volume_ml > FAR_LARGER * max(volume, case.grid.voxel_volume_ml) and border_ratio < WEAK_BORDER:
        message = (
            f"its largest lesion has {rounded_ml(lesion.volume_ml)}, only {rounded_ml(volume)} above 41 % of its "
            "maximum, and a weak border"
        )
        yield Finding(case.name, "large", "note", message, "Check that the label is of what is hot.")


def _thresholds(case: CohortCase, label: NDArray[np.bool_]) -> Iterator[Finding]:
    made = [(lesion, as_threshold(case, lesion, label)) for lesion in case.lesions]
    equal = [(lesion, mask) for lesion, mask in made if mask is not None]
    if not equal:
        return
    names = sorted({mask.name for _, mask in equal})
    message = f"{len(equal)} of its {len(case.lesions)} lesions are what a threshold gives: {'; '.join(names[:3])}"
    if case.quality == "HQ":
        advice = "A careful label seldom is; call it LQ if nobody corrected it."
        yield Finding(case.name, "threshold", "warning", message, advice)
    else:
        yield Finding(case.name, "threshold", "note", message, "Nothing: CPCL is made for such labels.")


def _agreement(case: CohortCase, model: SegmentationModel) -> Iterator[Finding]:
    from SegAnyPETLib.finetune.cohort.model_agreement import agreement_with

    for agreement in agreement_with(case, model):
        if agreement.dice < LEAST_DICE:
            offset = (
                "" if agreement.offset_mm is None else f", its border {agreement.offset_mm:+.1f} mm off the model's"
            )
            message = (
                f"the model finds something else at its lesion of {rounded_ml(agreement.volume_ml)} after one click: "
                f"Dice {agreement.dice:.2f}{offset}"
            )
            yield Finding(case.name, "model", "warning", message, "Look at the thumbnail: label or model is wrong.")
