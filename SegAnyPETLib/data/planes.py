"""Where a slice lies, and whether it may be part of one volume.

Only Image Position (0020,0032), Image Orientation (0020,0037) and Pixel Spacing (0028,0030) are believed. Slice
Location, Spacing Between Slices, Slice Thickness and Instance Number are optional, relative or plain wrong in the
field; none of them is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from SegAnyPETLib.data.dicom_values import numbers, tag_text, text, texts
from SegAnyPETLib.data.pixels import plane_shape_ji
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError, MissingTagError

EXPORT_AGAIN = "Export the series again, or remove the files that do not belong to it."
PERPENDICULAR_TOLERANCE = 1e-3  # of the cosines of one slice
LARGEST_COORDINATE_MM = 1e5  # 100 m; a position beyond is damage
_STATIC_SERIES_TYPES = ("STATIC", "WHOLE BODY", "WHOLEBODY")


@dataclass(frozen=True)
class Plane:
    """Where one slice lies.

    Attributes:
        name: What to call it in a message: a file, or a frame of a file.
        position_lps_mm: Centre of its first pixel.
        row_axis: Unit vector along a row, towards larger column indices.
        column_axis: Unit vector along a column, towards larger row indices.
        spacing_ij_mm: Distance between columns, and between rows.
        shape_ji: Rows and columns.
        frame_of_reference: Frame of Reference UID (0020,0052).
        sop_instance_uid: SOP Instance UID (0008,0018), the same for all frames of one object.
    """

    name: str
    position_lps_mm: tuple[float, ...]
    row_axis: tuple[float, ...]
    column_axis: tuple[float, ...]
    spacing_ij_mm: tuple[float, float]
    shape_ji: tuple[int, int]
    frame_of_reference: str | None
    sop_instance_uid: str | None

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slice; with the row and column axes it makes a right-handed frame."""
        return np.cross(self.row_axis, self.column_axis)


def plane_of(dataset: Dataset, *, name: str) -> Plane:
    """The plane of one slice from its header.

    Args:
        dataset: Header of a single-frame image, or the flattened header of a frame.
        name: What to call it in messages.

    Raises:
        MissingTagError: A tag of the geometry is absent.
        DICOMError: A tag of the geometry is malformed.
    """
    row_axis, column_axis = plane_axes(dataset, name=name)
    return Plane(
        name=name,
        position_lps_mm=plane_position(dataset, name=name),
        row_axis=row_axis,
        column_axis=column_axis,
        spacing_ij_mm=pixel_spacing_ij(dataset, name=name),
        shape_ji=plane_shape_ji(dataset, name=name),
        frame_of_reference=text(dataset, "FrameOfReferenceUID"),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
    )


def is_static(dataset: Dataset) -> bool:
    """True unless Series Type (0054,1000) says that the slice is of a gated or dynamic series."""
    series_type = texts(dataset, "SeriesType")
    return not series_type or series_type[0].upper() in _STATIC_SERIES_TYPES


def check_static(dataset: Dataset, *, name: str) -> None:
    """Refuse a slice of a gated or dynamic series.

    Raises:
        InconsistentSeriesError: Series Type (0054,1000) is neither static nor whole body.
    """
    if not is_static(dataset):
        msg = (
            f"Expected a static or whole-body series; SeriesType (0054,1000) of {name} is "
            f"{text(dataset, 'SeriesType')}. "
            "Export one frame of it, or the sum, as a static series."
        )
        raise InconsistentSeriesError(msg)


def plane_position(dataset: Dataset, *, name: str) -> tuple[float, ...]:
    """Image Position (Patient) in mm.

    Raises:
        MissingTagError: It is absent.
        DICOMError: It is not three sensible numbers.
    """
    position = _needed(dataset, "ImagePositionPatient", 3, name=name)
    if max(abs(value) for value in position) > LARGEST_COORDINATE_MM:
        msg = f"ImagePositionPatient (0020,0032) of {name} is {position} mm, which is no position. {EXPORT_AGAIN}"
        raise DICOMError(msg)
    return position


def plane_axes(dataset: Dataset, *, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Unit vectors along rows and columns, made exactly perpendicular.

    Raises:
        MissingTagError: Image Orientation (Patient) is absent.
        DICOMError: It is not two perpendicular unit vectors.
    """
    cosines = np.array(_needed(dataset, "ImageOrientationPatient", 6, name=name)).reshape(2, 3)
    if np.abs(cosines).max() > 2 or np.abs(cosines @ cosines.T - np.eye(2)).max() > PERPENDICULAR_TOLERANCE:
        msg = (
            f"ImageOrientationPatient (0020,0037) of {name} should be two perpendicular unit vectors; "
            f"found {cosines.ravel().tolist()}. Export the series again."
        )
        raise DICOMError(msg)
    row = cosines[0] / np.linalg.norm(cosines[0])
    column = cosines[1] - row * (cosines[1] @ row)
    return tuple(row.tolist()), tuple((column / np.linalg.norm(column)).tolist())


def pixel_spacing_ij(dataset: Dataset, *, name: str) -> tuple[float, float]:
    """Distance between columns and between rows in mm; DICOM writes them the other way round.

    Raises:
        MissingTagError: Pixel Spacing is absent.
        DICOMError: It is not positive.
    """
    between_rows, between_columns = _needed(dataset, "PixelSpacing", 2, name=name)
    if not 0 < min(between_rows, between_columns) <= max(between_rows, between_columns) < LARGEST_COORDINATE_MM:
        msg = (
            f"PixelSpacing (0028,0030) of {name} should be positive mm; found {between_rows}\\{between_columns}. "
            "Export the series again."
        )
        raise DICOMError(msg)
    return between_columns, between_rows


def _needed(dataset: Dataset, keyword: str, count: int, *, name: str) -> tuple[float, ...]:
    values = numbers(dataset, keyword, count=count)
    if not values:
        raise MissingTagError(
            keyword,
            tag_text(keyword),
            needed_for=f"the place of {name}",
            advice="Export the series again as PET images with their geometry.",
        )
    return values
