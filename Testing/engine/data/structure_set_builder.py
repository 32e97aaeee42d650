"""RT Structure Sets made by hand, as other programs write them: any contours, no grid behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from SegAnyPETLib.geometry import Grid

FRAME_OF_REFERENCE = "1.2.826.0.1.3680043.8.498.20250101.200"


def contour(points_lps_mm: np.ndarray, kind: str = "CLOSED_PLANAR", **tags) -> Dataset:
    item = Dataset()
    item.ContourGeometricType = kind
    item.NumberOfContourPoints = len(points_lps_mm)
    item.ContourData = np.round(points_lps_mm, 3).ravel().tolist()
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return item


def structure_set(path: Path, regions: dict[str, list[Dataset]], *, frame: str = FRAME_OF_REFERENCE) -> Path:
    """Write regions of contours, numbered from 11."""
    result = Dataset()
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    result.SpecificCharacterSet = "ISO_IR 192"
    result.SOPClassUID, result.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3.4"
    result.Modality = "RTSTRUCT"
    result.StructureSetROISequence, result.ROIContourSequence, result.RTROIObservationsSequence = [], [], []
    for number, (name, contours) in enumerate(regions.items(), start=11):
        region, drawn, seen = Dataset(), Dataset(), Dataset()
        region.ROINumber, region.ROIName, region.ReferencedFrameOfReferenceUID = number, name, frame
        drawn.ReferencedROINumber = seen.ReferencedROINumber = number
        drawn.ContourSequence = contours
        seen.ObservationNumber, seen.RTROIInterpretedType = number, "ORGAN" if "liver" in name.lower() else "GTV"
        result.StructureSetROISequence.append(region)
        result.ROIContourSequence.append(drawn)
        result.RTROIObservationsSequence.append(seen)
    result.save_as(path, enforce_file_format=True)
    return path


def in_slice(grid: Grid, k: float, offsets_ij_mm: np.ndarray) -> np.ndarray:
    """LPS points in the plane of slice `k` of the grid, at (n, 2) mm along i and j from the middle of the slice."""
    middle = np.array([(grid.shape_kji[2] - 1) / 2, (grid.shape_kji[1] - 1) / 2])
    ij = middle + offsets_ij_mm / np.asarray(grid.spacing_ijk_mm[:2])
    homogeneous = np.column_stack([ij, np.full(len(ij), k), np.ones(len(ij))])
    return (homogeneous @ np.asarray(grid.ijk_to_lps).T)[:, :3]


def ellipse(half_axes_mm: tuple[float, float], *, turn: float = 0.4, centre=(0.0, 0.0), count: int = 181) -> np.ndarray:
    """Points (n, 2) in mm."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.column_stack([half_axes_mm[0] * np.cos(angle), half_axes_mm[1] * np.sin(angle)])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return points @ rotation.T + centre
