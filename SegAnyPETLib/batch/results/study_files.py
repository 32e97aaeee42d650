"""Which file of a study is written by what."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from SegAnyPETLib.batch.results.study_folder import FILE_NAMES
from SegAnyPETLib.batch.results.study_notes import page_notes, page_rows, report_burden, report_findings
from SegAnyPETLib.data.deidentify import deidentify_file
from SegAnyPETLib.data.dicom_seg_output import write_dicom_seg
from SegAnyPETLib.data.nifti_output import write_labels_nifti
from SegAnyPETLib.data.rtstruct_output import write_rtstruct
from SegAnyPETLib.data.seg_nrrd_output import write_seg_nrrd
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.report.dicom_sr import write_dicom_sr
from SegAnyPETLib.report.study_page import write_study_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from SegAnyPETLib.batch.results.lesion_rows import Row
    from SegAnyPETLib.batch.results.study_content import ContentLesion, StudyContent
    from SegAnyPETLib.batch.settings import BatchSettings, Format

_DICOM: tuple[Format, ...] = ("seg", "rtstruct", "sr")


def write_files(
    folder: Path, content: StudyContent, settings: BatchSettings, *, totals: Row, written_at: datetime, salt: bytes
) -> None:
    """Write every format that was asked for into an empty folder, and always the masks as `.seg.nrrd`.

    A measurement report refers to a DICOM SEG, which is therefore written with it. A study without a lesion gets page
    and report only: a segmentation cannot be empty in DICOM.

    Args:
        folder: Where.
        content: What.
        settings: Which formats, and whether DICOM is de-identified.
        totals: The line of the table of patients, for the page.
        written_at: The time the files name as that of their making.
        salt: Secret of the run, from which de-identified files get their new UIDs.

    Raises:
        SegAnyPETError: A file cannot be written.
    """
    formats = set(settings.formats)
    if content.lesions:
        _write_masks(folder, content, formats)
    _write_dicom(folder, content, formats, totals=totals, written_at=written_at)
    if settings.is_deidentified:  # after all are written, since the report reads the segmentation it refers to
        for path in (folder / FILE_NAMES[role] for role in _DICOM):
            if path.exists():
                deidentify_file(path, salt=salt, keep=[content.algorithm_name, content.model])
    if "png" in formats:
        write_study_page(
            folder / FILE_NAMES["png"],
            content.image,
            content.segments(),
            title=f"Study {content.key}",
            rows=page_rows(content),
            notes=page_notes(content, totals),
        )


def number_overlapping(lesions: Sequence[ContentLesion], shape_kji: tuple[int, int, int]) -> NDArray[np.uint16]:
    """The lesions' numbers as labels (K, J, I), 0 elsewhere.

    A voxel of several lesions gets the smallest one's, so that no lesion vanishes in a larger one; of lesions of the
    same size the first one's.
    """
    labels = np.zeros(shape_kji, dtype=np.uint16)
    for lesion in sorted(lesions, key=lambda one: (-one.measures.voxel_count, -one.number)):
        box = VoxelBox.of_mask(lesion.mask).slices
        labels[box][lesion.mask[box]] = lesion.number
    return labels


def _write_masks(folder: Path, content: StudyContent, formats: set[Format]) -> None:
    grid = content.image.grid
    write_seg_nrrd(folder / FILE_NAMES["seg.nrrd"], content.segments(), grid=grid)
    if "nifti" in formats:
        labels = number_overlapping(content.lesions, grid.shape_kji)
        write_labels_nifti(folder / FILE_NAMES["nifti"], labels, grid=grid)


def _write_dicom(
    folder: Path, content: StudyContent, formats: set[Format], *, totals: Row, written_at: datetime
) -> None:
    """SEG, RTSTRUCT and SR. The same content and time give the same UIDs, and other content gives others."""
    segments, source = content.segments(), content.series

    def uid(role: Format, *what: str) -> str:
        return str(generate_uid(entropy_srcs=[content.key, content.fingerprint, role, *what]))

    digest = f"{content.digest()} {written_at.isoformat()}"
    if segments and formats & {"seg", "sr"}:
        write_dicom_seg(
            folder / FILE_NAMES["seg"],
            source=source,
            segments=segments,
            series_instance_uid=uid("seg", "series"),
            sop_instance_uid=uid("seg", digest),
            written_at=written_at,
        )
    if segments and "rtstruct" in formats:
        write_rtstruct(
            folder / FILE_NAMES["rtstruct"],
            source=source,
            segments=segments,
            series_instance_uid=uid("rtstruct", "series"),
            sop_instance_uid=uid("rtstruct", digest),
            written_at=written_at,
        )
    if "sr" in formats:
        write_dicom_sr(
            folder / FILE_NAMES["sr"],
            source=source,
            segmentation=folder / FILE_NAMES["seg"] if segments else None,
            findings=report_findings(content),
            burden=report_burden(content, totals),
            algorithm=segments[0].algorithm if segments else None,
            series_instance_uid=uid("sr", "series"),
            sop_instance_uid=uid("sr", digest),
            written_at=written_at,
        )
