"""Lesions written to files, always on the volume's own grid: a transform above it is a matter of the scene."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SegAnyPETLib.data import write_dicom_seg, write_mask_nifti, write_seg_nrrd
from SegAnyPETLib.data.segment import LESION, LONGEST_LABEL, Algorithm, Segment
from SegAnyPETLib.errors import GeometryError, OutputError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.mrml.frames import Node, gridFromVolumeNode, worldFromNode
from SegAnyPETLib.mrml.lesion import Lesion
from SegAnyPETLib.mrml.lesion_book import LesionBook
from SegAnyPETLib.mrml.lesion_rows import measureMask
from SegAnyPETLib.mrml.segments import BoolArray
from SegAnyPETLib.mrml.terminology import terminologyFromSegment
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.data import PETSeries

LATTICE_TOLERANCE = 0.05  # voxels; NIfTI keeps geometry in single precision


def exportTable(book: LesionBook, path: Path | str, *, model: str) -> Path:
    """Write the measures as CSV, one line per lesion that holds a voxel, units in the names of the columns.

    Raises:
        OutputError: No lesion holds a voxel, or the file cannot be written.
    """
    from SegAnyPETLib.report.table import MeasuresRow, write_measures_csv

    rows = []
    for lesion in _filled(book):
        result = lesion.state.result
        isShown = result is not None and result.mask == lesion.shown
        measures = (result.measures if result is not None and isShown else None) or measureMask(
            book.image, lesion.shown
        )
        if measures is None:
            msg = f"'{lesion.segment.GetName()}' cannot be measured: voxels around it are not finite. Check the image."
            raise OutputError(msg)
        score = result.score if result is not None and isShown else None
        interval = result.volumeIntervalMl if result is not None and isShown else None
        name = "edited by hand" if lesion.state.isEdited else model
        clicks = len(lesion.state.clicks)
        rows.append(MeasuresRow(str(lesion.segment.GetName()), measures, name, score, clicks, interval))
    return write_measures_csv(path, rows)


def exportNifti(book: LesionBook, folder: Path | str) -> list[Path]:
    """Write one mask per lesion, named after it, into a folder that exists; files of the same name are replaced.

    Raises:
        OutputError: No lesion holds a voxel, or a file cannot be written.
    """
    grid, written = ownGrid(book.volumeNode), list[Path]()
    for lesion in _filled(book):
        stem = _fileName(str(lesion.segment.GetName()))
        path = Path(folder) / f"{stem}.nii.gz"
        if path in written:
            path = Path(folder) / f"{stem} ({len(written) + 1}).nii.gz"
        written.append(write_mask_nifti(path, lesion.shown.to_array(), grid=grid))
    return written


def exportSegNrrd(book: LesionBook, path: Path | str) -> Path:
    """Write all lesions as one .seg.nrrd.

    Raises:
        OutputError: No lesion holds a voxel, the name does not end in .seg.nrrd, or the file cannot be written.
    """
    masks = [lesion.shown.to_array() for lesion in _filled(book)]
    return write_seg_nrrd(path, _segments(book, masks, model=""), grid=ownGrid(book.volumeNode))


def exportDicomSeg(book: LesionBook, path: Path | str, source: PETSeries, *, model: str) -> Path:
    """Write all lesions as one DICOM SEG that refers to the series the volume was made from.

    Raises:
        GeometryError: The volume's voxels are not those of the series.
        OutputError: No lesion holds a voxel, the name does not end in .dcm, or the file cannot be written.
        DICOMError: The files of the series are gone or lack what a SEG must refer to.
    """
    return write_dicom_seg(path, source=source, segments=_segmentsOfSeries(book, source, model=model))


def exportRTStruct(book: LesionBook, path: Path | str, source: PETSeries, *, model: str) -> Path:
    """Write all lesions as contours of one DICOM RT Structure Set on the series the volume was made from.

    Raises:
        GeometryError: The volume's voxels are not those of the series.
        OutputError: No lesion holds a voxel, the name does not end in .dcm, or the file cannot be written.
        DICOMError: The files of the series are gone, have changed or lack what contours must refer to.
    """
    from SegAnyPETLib.data import write_rtstruct

    return write_rtstruct(path, source=source, segments=_segmentsOfSeries(book, source, model=model))


def ownGrid(volumeNode: Node) -> Grid:
    """The volume's grid without the transforms above it, as in the file it came from."""
    world = worldFromNode(volumeNode)
    if np.array_equal(world, np.eye(4)):
        return gridFromVolumeNode(volumeNode)
    grid = gridFromVolumeNode(volumeNode)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    matrix = flip @ np.linalg.inv(world) @ flip @ grid.ijk_to_lps
    return Grid.from_ijk_to_lps(matrix, shape_kji=grid.shape_kji)


def _filled(book: LesionBook) -> list[Lesion]:
    lesions = [lesion for lesion in book.inOrder() if not lesion.shown.box.is_empty]
    if not lesions:
        msg = "Expected at least one lesion with a voxel to export; found none. Click a lesion first."
        raise OutputError(msg)
    return lesions


def _segments(book: LesionBook, masks: Sequence[BoolArray], *, model: str) -> list[Segment]:
    segments = []
    for lesion, mask in zip(_filled(book), masks, strict=True):
        label = "".join(c if c.isprintable() else " " for c in str(lesion.segment.GetName())).strip()
        red, green, blue = lesion.segment.GetColor()
        terminology = terminologyFromSegment(book.segmentationNode, lesion.segmentID) or LESION
        algorithm = Algorithm(f"SegAnyPET {model}".strip(), __version__)
        segments.append(Segment(label[:LONGEST_LABEL] or "Lesion", mask, (red, green, blue), terminology, algorithm))
    return segments


def _segmentsOfSeries(book: LesionBook, source: PETSeries, *, model: str) -> list[Segment]:
    grid = ownGrid(book.volumeNode)
    masks = [_onGrid(lesion.shown, grid, source.grid) for lesion in _filled(book)]
    return _segments(book, masks, model=model)


def _fileName(name: str) -> str:
    """The name without what a file system or a shell takes amiss."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "_", name).strip(" .") or "Lesion"


def _onGrid(mask: PackedMask, grid: Grid, wanted: Grid) -> BoolArray:
    """The mask on another grid of the same voxels, which may count its axes in another order or direction.

    Raises:
        GeometryError: The voxels are not the same.
    """
    index = np.argwhere(mask.inside_box()) + mask.box.start_kji
    exact = wanted.lps_to_kji(grid.kji_to_lps(index))
    nearest = np.rint(exact).astype(int)
    fits = (
        sorted(grid.shape_kji) == sorted(wanted.shape_kji)
        and np.abs(exact - nearest).max() <= LATTICE_TOLERANCE
        and bool((nearest >= 0).all() and (nearest < wanted.shape_kji).all())
    )
    if not fits:
        msg = (
            f"Expected the volume to have the voxels of the DICOM series, shape (K, J, I) = {wanted.shape_kji}; found "
            f"{grid.shape_kji} elsewhere. Choose the series this volume was made from."
        )
        raise GeometryError(msg)
    result = np.zeros(wanted.shape_kji, dtype=bool)
    result[tuple(nearest.T)] = True
    return result
