"""Measures of segments in a table node, one row per segment."""

from __future__ import annotations

import vtk

from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.suv.measures import LesionMeasures

SEGMENT_COLUMN, ID_COLUMN = "Segment", "Segment ID"


def writeMeasuresToTable(tableNode: Node, measures: LesionMeasures, *, segmentID: str, segmentName: str) -> None:
    """Write one segment's row: its own where it has one (found by ID), else a new one; other rows stay.

    Columns that the table lacks are added, with their units. The units are those of the row written last: use one
    table per kind of SUV.

    Args:
        tableNode: A vtkMRMLTableNode, empty or written by this function.
        measures: From `compute_measures`.
        segmentID: MRML ID of the segment.
        segmentName: Shown in the first column.
    """
    suvUnit = measures.suv_unit
    numbers = {
        "SUVmax": (measures.suv_max, suvUnit),
        "SUVmean": (measures.suv_mean, suvUnit),
        "SUVpeak": (measures.suv_peak, suvUnit),
        "MTV": (measures.mtv_ml, "ml"),
        "TLG": (measures.tlg, measures.tlg_unit),
        "Voxels": (float(measures.voxel_count), "1"),
    }
    wasModifying = tableNode.StartModify()
    table = tableNode.GetTable()
    _column(tableNode, SEGMENT_COLUMN, vtk.vtkStringArray)
    ids = _column(tableNode, ID_COLUMN, vtk.vtkStringArray)
    for name, (_value, unit) in numbers.items():
        _column(tableNode, name, vtk.vtkDoubleArray)
        tableNode.SetColumnUnitLabel(name, unit)
    row = next((row for row in range(table.GetNumberOfRows()) if ids.GetValue(row) == segmentID), None)
    if row is None:
        row = tableNode.AddEmptyRow()
    table.SetValueByName(row, SEGMENT_COLUMN, vtk.vtkVariant(segmentName))
    table.SetValueByName(row, ID_COLUMN, vtk.vtkVariant(segmentID))
    for name, (value, _unit) in numbers.items():
        table.SetValueByName(row, name, vtk.vtkVariant(value))
    tableNode.Modified()
    tableNode.EndModify(wasModifying)


def _column(tableNode: Node, name: str, arrayClass: Node) -> Node:
    """The column of that name, added where the table has none."""
    column = tableNode.GetTable().GetColumnByName(name)
    if column is None:
        column = arrayClass()
        column.SetName(name)
        column.SetNumberOfValues(tableNode.GetTable().GetNumberOfRows())
        tableNode.AddColumn(column)
    return column
