"""Read one PET series into a volume with its exact geometry."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from SegAnyPETLib.data.dicom_files import read_header, read_with_pixels
from SegAnyPETLib.data.dicom_values import number, text
from SegAnyPETLib.data.enhanced_pet import read_multiframe
from SegAnyPETLib.data.pet_header import PETHeader, SliceHeader, series_header
from SegAnyPETLib.data.pixels import PIXEL_KEYWORDS, rescaled, stored_planes
from SegAnyPETLib.data.planes import check_static, plane_of
from SegAnyPETLib.data.series_choice import (
    MULTIFRAME_CLASSES,
    FolderContent,
    FoundSeries,
    SeriesSummary,
    choose,
    scan,
    scan_folder,
)
from SegAnyPETLib.data.slice_stack import stack_planes
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError, InputError, SegAnyPETWarning
from SegAnyPETLib.geometry import Grid


@dataclass(frozen=True)
class PETSeries:
    """One PET series as stored: rescaled, in its own units, not yet SUV.

    Attributes:
        values: float32 (K, J, I), read-only: slope of the slice times stored value, in `units`.
        units: Units (0054,1001), for example BQML, CNTS, GML or CM2ML; empty where the header has none.
        grid: Where the voxels lie; right-handed, k along the cross product of row and column direction.
        header: What SUV needs to know; `header.slices[k]` belongs to `values[k]`.
        source_files: The file of slice k; one file repeated for a multi-frame object.
        frame_numbers: The frame of slice k in its file, from 1.
        series_instance_uid: Series Instance UID (0020,000E).
        is_multiframe: True for Enhanced PET.
        warnings: What was tolerated while reading.
    """

    values: NDArray[np.float32] = field(repr=False)
    units: str
    grid: Grid
    header: PETHeader = field(repr=False)
    source_files: tuple[Path, ...] = field(repr=False)
    frame_numbers: tuple[int, ...] = field(repr=False)
    series_instance_uid: str
    is_multiframe: bool = False
    warnings: tuple[str, ...] = ()


def read_pet_series(path: Path | str, *, series_instance_uid: str | None = None) -> PETSeries:
    """Read a PET series from a folder, from one of its files, or from an Enhanced PET file.

    Folders are searched below too. Other modalities, localizers and projections are left aside; of an attenuation
    corrected series and its uncorrected twin the corrected one is taken.

    Args:
        path: A folder, or one DICOM file of the series (its neighbours in the same folder are then read with it).
        series_instance_uid: Which series, where the folder holds several; see `list_pet_series`.

    Raises:
        InputError: There is nothing at `path`.
        DICOMError: There is no PET series, or a file of it cannot be used.
        MissingTagError: A tag that the geometry or the values need is absent.
        InconsistentSeriesError: Several series to choose from; slices missing, doubled, of different geometry, or of
            a gated or dynamic acquisition.

    Warns:
        SegAnyPETWarning: Files were unreadable that may not belong to the series; slices are fewer than announced.
    """
    path = Path(path)
    content, wanted = _content_of(path, series_instance_uid)
    return _read_chosen(content, series_instance_uid=wanted, where=path)


def read_pet_files(files: Iterable[Path], *, series_instance_uid: str | None = None) -> PETSeries:
    """Read a PET series from its files, wherever they lie; otherwise as `read_pet_series`.

    Args:
        files: All files of the series; those of other series and modalities are left aside.
        series_instance_uid: Which series, where the files are of several.

    Raises:
        DICOMError: There is no PET series among them, or a file of it cannot be used.
        MissingTagError: A tag that the geometry or the values need is absent.
        InconsistentSeriesError: As `read_pet_series`; also any file that cannot be read, as it may be a slice.

    Warns:
        SegAnyPETWarning: Slices are fewer than announced.
    """
    content = scan(files)
    if content.unreadable:
        first = content.unreadable[0]
        msg = (
            f"Expected files that can be read; found {len(content.unreadable)} that cannot, for example {first.path}: "
            f"{first.reason}. Put them back or copy them again."
        )
        raise InconsistentSeriesError(msg)
    return _read_chosen(content, series_instance_uid=series_instance_uid, where="the files given")


def list_pet_series(path: Path | str) -> tuple[SeriesSummary, ...]:
    """The PET series below a folder, to choose one for `read_pet_series`.

    Raises:
        InputError: There is no folder at `path`, or it is empty.
        DICOMError: It cannot be listed.
    """
    folder = Path(path)
    if not folder.is_dir():
        msg = f"Expected a folder; found none at {folder}. Check the path."
        raise InputError(msg)
    return tuple(series.summary for series in scan_folder(folder).series.values())


def _content_of(path: Path, series_instance_uid: str | None) -> tuple[FolderContent, str | None]:
    if path.is_dir():
        return scan_folder(path), series_instance_uid
    if not path.is_file():
        msg = f"Expected a folder or a DICOM file; found nothing at {path}. Check the path."
        raise InputError(msg)
    dataset = read_header(path)
    uid = text(dataset, "SeriesInstanceUID")
    if series_instance_uid not in (None, uid):
        msg = f"{path} belongs to series {uid}, not to {series_instance_uid}. Give its folder, or leave out the UID."
        raise InputError(msg)
    if text(dataset, "SOPClassUID") in MULTIFRAME_CLASSES:
        return scan([path]), uid
    siblings = sorted(sibling for sibling in path.parent.iterdir() if sibling.is_file())
    content = scan(siblings)
    if uid not in content.series:
        msg = f"Expected a PET image (Modality PT); {path} is of modality {text(dataset, 'Modality')}. Choose another."
        raise DICOMError(msg)
    return content, uid


def _read_chosen(content: FolderContent, *, series_instance_uid: str | None, where: Path | str) -> PETSeries:
    found = choose(content, series_instance_uid=series_instance_uid, where=where)
    notes = _reading_notes(content, found)
    for note in notes:
        warnings.warn(note, SegAnyPETWarning, stacklevel=3)
    if found.summary.is_multiframe:
        return _from_multiframe(found, notes=notes)
    return _from_slices(found, notes=notes)


def _reading_notes(content: FolderContent, found: FoundSeries) -> tuple[str, ...]:
    notes = []
    if content.unreadable:
        names = ", ".join(file.path.name for file in content.unreadable[:5])
        notes.append(
            f"{len(content.unreadable)} unreadable file(s) left aside: {names} ({content.unreadable[0].reason})"
        )
    announced = number(found.summary_of, "NumberOfSlices")
    if not found.summary.is_multiframe and announced is not None and len(found.files) < announced:
        notes.append(
            f"NumberOfSlices (0054,0081) announces {announced:.0f} slices; found {len(found.files)}, without a gap "
            "between them. The ends of the volume may be missing."
        )
    return tuple(notes)


def _from_multiframe(found: FoundSeries, *, notes: tuple[str, ...]) -> PETSeries:
    if len(found.files) > 1:
        names = ", ".join(path.name for path, _ in found.files[:5])
        msg = (
            f"Expected one multi-frame file; series {found.summary.series_instance_uid} has {len(found.files)}: "
            f"{names}. Give the one file to read."
        )
        raise InconsistentSeriesError(msg)
    path = found.files[0][0]
    values, grid, header, frame_numbers = read_multiframe(path)
    return PETSeries(
        values=values,
        units=header.units or "",
        grid=grid,
        header=header,
        source_files=(path,) * len(frame_numbers),
        frame_numbers=frame_numbers,
        series_instance_uid=found.summary.series_instance_uid,
        is_multiframe=True,
        warnings=notes,
    )


def _from_slices(found: FoundSeries, *, notes: tuple[str, ...]) -> PETSeries:
    for path, dataset in found.files:
        check_static(dataset, name=path.name)
        _check_single_frame(dataset, name=path.name)
    _check_one_patient(found)
    order, grid = stack_planes([plane_of(dataset, name=path.name) for path, dataset in found.files])
    files = [found.files[n] for n in order]
    header = series_header([dataset for _, dataset in files], names=[path.name for path, _ in files])
    paths = tuple(path for path, _ in files)
    return PETSeries(
        values=_rescaled_volume(paths, header.slices, grid),
        units=header.units or "",
        grid=grid,
        header=header,
        source_files=paths,
        frame_numbers=(1,) * len(paths),
        series_instance_uid=found.summary.series_instance_uid,
        warnings=notes,
    )


def _check_single_frame(dataset: FileDataset, *, name: str) -> None:
    frames = number(dataset, "NumberOfFrames") or 1
    if frames != 1:
        msg = f"{name} is a PET image with {frames:.0f} frames; a slice has one. Export the series again."
        raise InconsistentSeriesError(msg)


def _check_one_patient(found: FoundSeries) -> None:
    for keyword in ("PatientID", "StudyInstanceUID"):
        if len({text(dataset, keyword) for _, dataset in found.files}) > 1:
            msg = (
                f"The files of series {found.summary.series_instance_uid} have more than one {keyword}: "
                "two patients or studies are mixed. Separate them."
            )
            raise InconsistentSeriesError(msg)


def _rescaled_volume(paths: tuple[Path, ...], slices: tuple[SliceHeader, ...], grid: Grid) -> NDArray[np.float32]:
    # The first slice is decoded before the volume is allocated: only then is its claimed size known to be true.
    first = _rescaled_plane(paths[0], slices[0])
    values = np.empty(grid.shape_kji, dtype=np.float32)
    values[0] = first
    for k in range(1, len(paths)):
        values[k] = _rescaled_plane(paths[k], slices[k])
    values.setflags(write=False)
    return values


def _rescaled_plane(path: Path, header: SliceHeader) -> NDArray[np.float32]:
    stored = stored_planes(read_with_pixels(path, only=PIXEL_KEYWORDS), frames=1, name=path.name)[0]
    return rescaled(stored, slope=header.rescale_slope, intercept=header.rescale_intercept, name=path.name)
