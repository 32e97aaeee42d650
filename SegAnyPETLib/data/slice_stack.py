"""The geometry of a stack of slices: order, checks, grid.

Only Image Position (0020,0032), Image Orientation (0020,0037) and Pixel Spacing (0028,0030) are believed. Slice
Location, Spacing Between Slices, Slice Thickness and Instance Number are optional, relative or plain wrong in the
field; none of them is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from SegAnyPETLib.data.dicom_values import numbers, tag_text
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError, MissingTagError
from SegAnyPETLib.geometry import Grid

COSINE_TOLERANCE = 1e-3  # between the axes of one slice, and between the same axis of two slices
POSITION_TOLERANCE = 0.02  # of the slice spacing; positions are often written with one decimal of a mm
LEAST_POSITION_TOLERANCE_MM = 0.05
SPACING_TOLERANCE_MM = 1e-3  # between the pixel spacings of two slices
LARGEST_COORDINATE_MM = 1e5  # 100 m; a position beyond is damage
_EXPORT_AGAIN = "Export the series again, or remove the files that do not belong to it."


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


def plane_position(dataset: Dataset, *, name: str) -> tuple[float, ...]:
    """Image Position (Patient) in mm.

    Raises:
        MissingTagError: It is absent.
        DICOMError: It is not three sensible numbers.
    """
    position = _needed(dataset, "ImagePositionPatient", 3, name=name)
    if max(abs(value) for value in position) > LARGEST_COORDINATE_MM:
        msg = f"ImagePositionPatient (0020,0032) of {name} is {position} mm, which is no position. {_EXPORT_AGAIN}"
        raise DICOMError(msg)
    return position


def plane_axes(dataset: Dataset, *, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Unit vectors along rows and columns, made exactly perpendicular.

    Raises:
        MissingTagError: Image Orientation (Patient) is absent.
        DICOMError: It is not two perpendicular unit vectors.
    """
    cosines = np.array(_needed(dataset, "ImageOrientationPatient", 6, name=name)).reshape(2, 3)
    if np.abs(cosines).max() > 2 or np.abs(cosines @ cosines.T - np.eye(2)).max() > COSINE_TOLERANCE:
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


def stack_planes(planes: Sequence[Plane]) -> tuple[list[int], Grid]:
    """Sort slices along their normal and build the grid they fill.

    Slices run along the cross product of row and column axis, so the grid is right-handed.

    Args:
        planes: The slices in any order.

    Returns:
        The indices of `planes` for k = 0, 1, ... and the grid.

    Raises:
        InconsistentSeriesError: Fewer than two slices; slices differ in size, spacing, orientation or frame of
            reference; two lie at one place; one is missing; or the stack is sheared.
    """
    if len(planes) < 2:
        msg = (
            f"A volume needs at least two slices; found one, {planes[0].name if planes else '(none)'}. Add the others."
        )
        raise InconsistentSeriesError(msg)
    for plane in planes[1:]:
        _check_like(planes[0], plane)
    positions = np.array([plane.position_lps_mm for plane in planes])
    normal = planes[0].normal
    distances = (positions - positions[0]) @ normal
    order = np.argsort(distances, kind="stable").tolist()
    _check_distinct([planes[n] for n in order], distances[order])
    spacing = float(distances[order[-1]] - distances[order[0]]) / (len(planes) - 1)
    _check_even([planes[n] for n in order], distances[order])
    _check_straight([planes[n] for n in order], positions[order], spacing_mm=spacing)
    direction = np.column_stack([planes[0].row_axis, planes[0].column_axis, normal])
    first = planes[order[0]]
    (rows, columns), (along_i, along_j) = first.shape_ji, first.spacing_ij_mm
    origin = tuple(float(value) for value in first.position_lps_mm)
    grid = Grid(
        (len(planes), rows, columns),
        (along_i, along_j, spacing),
        (origin[0], origin[1], origin[2]),
        tuple(tuple(row) for row in direction.tolist()),
    )
    return order, grid


def position_tolerance_mm(spacing_mm: float) -> float:
    """How far a slice may lie from its place on an even grid."""
    return max(LEAST_POSITION_TOLERANCE_MM, POSITION_TOLERANCE * spacing_mm)


def _check_like(first: Plane, other: Plane) -> None:
    turned = max(
        np.abs(np.subtract(first.row_axis, other.row_axis)).max(),
        np.abs(np.subtract(first.column_axis, other.column_axis)).max(),
    )
    stretched = np.abs(np.subtract(first.spacing_ij_mm, other.spacing_ij_mm)).max()
    found = None
    if first.shape_ji != other.shape_ji:
        found = f"size (rows, columns) {first.shape_ji} and {other.shape_ji}"
    elif stretched > SPACING_TOLERANCE_MM:
        found = f"pixel spacing {first.spacing_ij_mm} and {other.spacing_ij_mm} mm"
    elif turned > COSINE_TOLERANCE:
        found = (
            f"orientation {_rounded(first.row_axis + first.column_axis)} and "
            f"{_rounded(other.row_axis + other.column_axis)}"
        )
    elif first.frame_of_reference != other.frame_of_reference:
        found = f"frame of reference {first.frame_of_reference} and {other.frame_of_reference}"
    if found is not None:
        msg = f"Slices of one series should agree; {first.name} and {other.name} have {found}. {_EXPORT_AGAIN}"
        raise InconsistentSeriesError(msg)


def _check_distinct(planes: Sequence[Plane], distances: NDArray[np.float64]) -> None:
    steps = np.diff(distances)
    same = np.flatnonzero(steps < LEAST_POSITION_TOLERANCE_MM)
    if not same.size:
        return
    a, b = planes[same[0]], planes[same[0] + 1]
    places = int((steps >= LEAST_POSITION_TOLERANCE_MM).sum()) + 1
    if a.sop_instance_uid is not None and a.sop_instance_uid == b.sop_instance_uid:
        why = "They are copies of the same image: remove one of each pair."
    else:
        why = "This is a gated, dynamic or doubled series: export one frame of it as a static series."
    msg = (
        f"Expected one slice at each place; found {len(planes)} slices at {places} places, "
        f"for example {a.name} and {b.name} at {_rounded(a.position_lps_mm)} mm. {why}"
    )
    raise InconsistentSeriesError(msg)


def _check_even(planes: Sequence[Plane], distances: NDArray[np.float64]) -> None:
    steps = np.diff(distances)
    step = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower median: of two steps the gap is the longer
    widest = int(np.argmax(steps))
    missing = round(float(steps[widest]) / step) - 1
    if steps[widest] > 1.5 * step:
        msg = (
            f"Slices are missing: {planes[widest].name} and {planes[widest + 1].name} are {steps[widest]:.3f} mm apart "
            f"where most are {step:.3f} mm apart; about {missing} between them. Copy the complete series."
        )
        raise InconsistentSeriesError(msg)
    even = np.linspace(distances[0], distances[-1], len(distances))
    off = np.abs(distances - even)
    worst = int(np.argmax(off))
    mean = float(distances[-1] - distances[0]) / (len(distances) - 1)
    if off[worst] > position_tolerance_mm(mean):
        msg = (
            f"Slices should be evenly spaced; the distances reach from {steps.min():.3f} to {steps.max():.3f} mm, and "
            f"{planes[worst].name} lies {off[worst]:.3f} mm off its place (allowed {position_tolerance_mm(mean):.3f}). "
            "Resample or export the series with even spacing."
        )
        raise InconsistentSeriesError(msg)


def _check_straight(planes: Sequence[Plane], positions: NDArray[np.float64], *, spacing_mm: float) -> None:
    offsets = positions - positions[0]
    sideways = np.linalg.norm(offsets - np.outer(offsets @ planes[0].normal, planes[0].normal), axis=1)
    worst = int(np.argmax(sideways))
    if sideways[worst] > position_tolerance_mm(spacing_mm):
        msg = (
            f"Slices should lie straight behind one another; {planes[worst].name} is shifted sideways by "
            f"{sideways[worst]:.3f} mm against {planes[0].name} (a tilted stack). Resample it to a grid without shear."
        )
        raise InconsistentSeriesError(msg)


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


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in values]
