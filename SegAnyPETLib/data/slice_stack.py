"""The geometry of a stack of slices: order, checks, grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data.planes import EXPORT_AGAIN, Plane
from SegAnyPETLib.errors import InconsistentSeriesError
from SegAnyPETLib.geometry import Grid

COSINE_TOLERANCE = 1e-3  # between the same axis of two slices
POSITION_TOLERANCE = 0.02  # of the slice spacing; positions are often written with one decimal of a mm
LEAST_POSITION_TOLERANCE_MM = 0.05
SPACING_TOLERANCE_MM = 1e-3  # between the pixel spacings of two slices


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
        msg = f"Slices of one series should agree; {first.name} and {other.name} have {found}. {EXPORT_AGAIN}"
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


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in values]
