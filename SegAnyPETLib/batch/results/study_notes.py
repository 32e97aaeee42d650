"""What the report page and the measurement report of a study say beside masks and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from SegAnyPETLib.batch.results.patient_rows import ALL, WITHOUT_PHYSIOLOGICAL
from SegAnyPETLib.batch.results.study_content import PROGRAM
from SegAnyPETLib.report.sr_content import SRBurden, SRFinding
from SegAnyPETLib.report.study_page import PageRow

if TYPE_CHECKING:
    from SegAnyPETLib.batch.results.lesion_rows import Row
    from SegAnyPETLib.batch.results.study_content import StudyContent

NOTHING_FOUND = "No lesion was found, so no mask, DICOM SEG or RTSTRUCT was written: these cannot be empty."


def page_rows(content: StudyContent) -> list[PageRow]:
    """The lines of the page's table, in the order of the lesions."""
    return [
        PageRow(
            number=lesion.number,
            label=lesion.label,
            measures=lesion.measures,
            flag=_flag(lesion.physiology, is_corrected=lesion.is_corrected),
            is_physiological=lesion.physiology is not None,
        )
        for lesion in content.lesions
    ]


def page_notes(content: StudyContent, totals: Row) -> list[str]:
    """Totals first, then rule, notes and model, one paragraph each."""
    flagged = totals["physiological_count"]
    notes = [_total("All lesions", totals, ALL, content)]
    if flagged:
        notes.insert(0, _total("Without probably normal uptake", totals, WITHOUT_PHYSIOLOGICAL, content))
    notes.append(f"Rule: {content.rule}")
    notes += content.notes
    if content.not_found:
        notes.append(f"Nothing was segmented for: {', '.join(content.not_found)}.")
    notes.append(f"Model {content.model}, weights {content.weights_sha256[:12]}, {PROGRAM}.")
    return notes


def report_findings(content: StudyContent) -> list[SRFinding]:
    """The lesions for the measurement report, numbered as in the segmentation."""
    return [
        SRFinding(
            label=lesion.label,
            tracking_uid=lesion.tracking_uid,
            segment_number=lesion.number,
            measures=lesion.measures,
            terminology=segment.terminology,
            note=f"Probably normal uptake: {lesion.physiology}" if lesion.physiology is not None else None,
            confidence=lesion.score,
            volume_interval_ml=lesion.volume_interval_ml,
        )
        for lesion, segment in zip(content.lesions, content.segments(), strict=True)
    ]


def report_burden(content: StudyContent, totals: Row) -> SRBurden:
    """The sums for the measurement report, without what is probably normal."""
    unit = content.image.unit.removesuffix("/ml")
    count, mtv, tlg, dmax = (
        totals[f"{name}_{WITHOUT_PHYSIOLOGICAL}{ending}"]
        for name, ending in (("lesion_count", ""), ("mtv", "_ml"), ("tlg", f"_{unit}"), ("dmax_centroids", "_mm"))
    )
    left_out = f"{totals['physiological_count']} segments of probably normal uptake are not counted."
    return SRBurden(
        lesion_count=int(count or 0),
        mtv_ml=float(mtv or 0),
        tlg=float(tlg or 0),
        tlg_unit=unit,
        dmax_mm=float(dmax or 0) if int(count or 0) > 1 else None,
        note=f"A voxel in several lesions counts once; distance between centroids. {left_out} {content.rule}",
    )


def _total(name: str, totals: Row, which: str, content: StudyContent) -> str:
    unit = content.image.unit.removesuffix("/ml")
    count, dmax = totals[f"lesion_count_{which}"], totals[f"dmax_centroids_{which}_mm"]
    mtv, tlg = totals[f"mtv_{which}_ml"], totals[f"tlg_{which}_{unit}"]
    return f"{name}: {count}, MTV {mtv:.1f} ml, TLG {tlg:.1f} {unit}, Dmax {dmax:.0f} mm between centroids."


def _flag(physiology: str | None, *, is_corrected: bool) -> str:
    words = ["corrected"] if is_corrected else []
    if physiology is not None:
        words.insert(0, physiology.partition(":")[0])
    return ", ".join(words)
