"""Whether careless labels are drawn larger or smaller than careful ones, against the edge of uptake.

No model is needed. A single tumour tells nothing: between 30 sarcomas drawn with care, that distance scatters by
2.6 mm. Of random cohorts of them with 4 careful and 14 careless labels 6 % were reported though all labels were right,
82 % where the careless ones were 4 mm too large, 99 % at 8 mm; with 16 careful ones 2, 100 and 100 %
(Testing/cpcl_study/reported_size.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import numpy as np

from SegAnyPETLib.finetune.cohort.cases import CohortCase
from SegAnyPETLib.finetune.cohort.findings import WHOLE_COHORT, Finding
from SegAnyPETLib.finetune.cohort.manifest import Quality
from SegAnyPETLib.finetune.cohort_difference import difference_of
from SegAnyPETLib.finetune.config import FEWEST_CASES, CPCLConfig
from SegAnyPETLib.finetune.uptake_edge import edge_offset_mm

MOST_LESIONS = 3  # of a case, the largest
STANDARD_ERRORS = 2.0  # a difference of less is called chance


def drawn_outside_mm(case: CohortCase) -> float | None:
    """How far a label lies outside the edge of uptake, in mm, the mean of its largest lesions; None without an edge."""
    config = CPCLConfig()
    spacing = case.grid.spacing_kji_mm
    margin = int(np.ceil(config.edge_reach_mm / min(spacing))) + 1
    found = []
    for lesion in case.lesions[:MOST_LESIONS]:
        box = lesion.box.expanded(margin).intersection(case.grid.box)
        offset = edge_offset_mm(
            lesion.placed_in(box),
            case.suv[box.slices],
            spacing_kji_mm=spacing,
            reach_mm=config.edge_reach_mm,
            cut_share=config.offset_cut_share,
        )
        found += [] if offset is None else [offset]
    return float(np.mean(found)) if found else None


def drawn_otherwise(outside_mm: Iterable[tuple[Quality, float | None]]) -> list[Finding]:
    """What the cohort as a whole shows.

    Args:
        outside_mm: Quality of each case, and what `drawn_outside_mm` says of it.

    Returns:
        One finding where careless labels differ from careful ones by more than chance, else none.
    """
    known = [(quality, mm) for quality, mm in outside_mm if mm is not None]
    careful, careless = (np.array([mm for quality, mm in known if quality == kind]) for kind in get_args(Quality))
    difference = difference_of(careful, careless, fewest_cases=FEWEST_CASES)
    if difference is None or abs(difference.size) <= STANDARD_ERRORS * difference.error:
        return []
    mm, size = abs(difference.size), "large" if difference.size > 0 else "small"
    message = (
        f"the careless labels (LQ) are drawn {mm:.0f} mm too {size} by the measure of the careful ones, "
        f"give or take {2 * difference.error:.0f} mm ({difference.careless} and {difference.careful} cases)"
    )
    advice = "Learn with the method cpcl, which takes such an offset back; plain would learn it."
    return [Finding(WHOLE_COHORT, "drawn otherwise", "note", message, advice)]
