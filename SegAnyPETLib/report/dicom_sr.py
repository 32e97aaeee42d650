"""The measures of a study as a DICOM measurement report (TID 1500) that refers to the segmentation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.data.dicom_files import read_header
from SegAnyPETLib.data.dicom_seg_output import OURSELVES
from SegAnyPETLib.data.dicom_values import items, number, text
from SegAnyPETLib.data.nifti_output import require_ending
from SegAnyPETLib.data.segment import Algorithm, Code
from SegAnyPETLib.data.source_images import read_source_images
from SegAnyPETLib.data.written_identity import derived_uid, new_uid_unless, stamp_times
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError, OutputError
from SegAnyPETLib.report.sr_content import SRBurden, SRFinding, burden_group, concept, image_library, lesion_group
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from SegAnyPETLib.data.pet_series import PETSeries

SERIES_NUMBER_OFFSET = 3000  # beside a SEG and a structure set of the same series
REPORT_TITLE = Code("126000", "DCM", "Imaging Measurement Report")
PROCEDURE = Code("82918005", "SCT", "Positron emission tomography")


def write_dicom_sr(
    path: Path | str,
    *,
    source: PETSeries,
    segmentation: Path | str | None,
    findings: Sequence[SRFinding],
    burden: SRBurden | None = None,
    algorithm: Algorithm | None = None,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
    written_at: datetime | None = None,
) -> Path:
    """Write the measures as a Comprehensive 3D SR after TID 1500, unverified and preliminary.

    Each finding is a measurement group on its segment (TID 1411), with the tracking identifier and UID of the SEG,
    finding and finding site, SUV measures with derivations and units, volume, metabolic volume and total lesion
    glycolysis. The burden of the study is a group without a region (TID 1501). With both UIDs and the time given, the
    same findings give the same bytes.

    Args:
        path: Ends in .dcm.
        source: The PET series as read; its files must still be where they were.
        segmentation: The DICOM SEG of the findings; None for a study in which nothing was found.
        findings: In the order of the report; may be empty.
        burden: Sums over the study.
        algorithm: What made the masks, by default this program.
        series_instance_uid: Of the new series; a random one by default.
        sop_instance_uid: Of the new object; a random one by default.
        written_at: When it was made, by default now.

    Raises:
        OutputError: Findings without segmentation or with another tracking UID; the file cannot be written.
        InconsistentSeriesError: The segmentation is of another series.
        DICOMError: Source or segmentation are gone or lack what a report must refer to.

    Source:
        DICOM PS3.3 A.35.13; PS3.16 TID 1500, 1411 and 1501.
    """
    path = Path(path)
    require_ending(path, (".dcm",))
    seg = _checked_segmentation(segmentation, findings, source)
    uid = new_uid_unless(sop_instance_uid)
    with warnings.catch_warnings(), write_atomically(path) as temporary:
        # Their remarks are about the source's own values (names without carets, long IDs), which are repeated.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(pydicom|highdicom)\.")
        images = read_source_images(source, result="report")
        maker = algorithm or OURSELVES
        groups = [] if seg is None else [lesion_group(f, seg, source=source, algorithm=maker) for f in findings]
        if burden is not None:
            groups.append(burden_group(burden, sop_instance_uid=uid, algorithm=maker))
        evidence = images if seg is None else [*images, seg]
        report = _report(images, evidence, groups, uids=(new_uid_unless(series_instance_uid), uid))
        stamp_times(report, written_at or datetime.now(), prefixes=("InstanceCreation", "Content"))
        report.save_as(temporary, enforce_file_format=True)
    return path


def _checked_segmentation(path: Path | str | None, findings: Sequence[SRFinding], source: PETSeries) -> Dataset | None:
    """The segmentation's header, which has a segment for each finding and is of the source series."""
    if path is None:
        if findings:
            msg = f"Expected the segmentation of {len(findings)} findings; found none. Write the DICOM SEG first."
            raise OutputError(msg)
        return None
    seg = read_header(Path(path))
    referred = [text(item, "SeriesInstanceUID") for item in items(seg, "ReferencedSeriesSequence")]
    if source.series_instance_uid not in referred:
        msg = "Expected a segmentation of the series that is reported; found one of another series. Give its own."
        raise InconsistentSeriesError(msg)
    known = {number(item, "SegmentNumber"): text(item, "TrackingUID") for item in items(seg, "SegmentSequence")}
    for finding in findings:
        found = known.get(finding.segment_number)
        if found != finding.tracking_uid:
            msg = (
                f"Expected segment {finding.segment_number} with tracking UID {finding.tracking_uid} for finding "
                f"{finding.label!r}; found {found}. Write segmentation and report from the same lesions."
            )
            raise OutputError(msg)
    return seg


def _report(images: list[Dataset], evidence: list[Dataset], groups: list[Any], *, uids: tuple[str, str]) -> Dataset:
    import highdicom

    first = images[0]
    series_instance_uid, sop_instance_uid = uids
    try:
        result = highdicom.sr.Comprehensive3DSR(
            evidence=evidence,
            content=_content(images, groups),
            series_instance_uid=series_instance_uid,
            series_number=SERIES_NUMBER_OFFSET + int(first.get("SeriesNumber") or 0),
            sop_instance_uid=sop_instance_uid,
            instance_number=1,
            manufacturer="SegAnyPET",
            manufacturer_model_name="SegAnyPET",
            software_versions=__version__,
            device_serial_number="none",
            series_description="SegAnyPET measurement report",
            is_complete=True,
            is_final=False,
            is_verified=False,
            specific_character_set="ISO_IR 192",
        )
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        msg = (
            f"The source series lacks or contradicts something a report must repeat: {error}. "
            "Use the original files instead of a reduced copy, or write the table of measures."
        )
        raise DICOMError(msg) from error
    return result  # type: ignore[no-any-return]  # highdicom ships no types


def _content(images: list[Dataset], groups: list[Any]) -> Any:  # highdicom ships no types
    from highdicom import sr

    device = sr.ObserverContext(
        observer_type=concept(Code("121007", "DCM", "Device")),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("SegAnyPET", __version__),
            name="SegAnyPET",
            manufacturer_name="SegAnyPET",
            model_name=f"SegAnyPET {__version__}",
        ),
    )
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device),
        procedure_reported=concept(PROCEDURE),
        imaging_measurements=groups,
        title=concept(REPORT_TITLE),
    )
    content = report[0].ContentSequence
    content.insert(len(content) - 1, image_library(images))  # before the measurements, as the template orders them
    return report
