"""Segments on awkward grids, and a minimal Enhanced PET of a phantom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from SegAnyPETLib.data.segment import LESION, LYMPH_NODE, ORGAN_TERMS, Algorithm, Code, Segment, Terminology
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import centred_grid

ORIENTATIONS = ("axial", "coronal", "sagittal", "oblique")


def awkward_grid(orientation: str = "oblique", shape=(9, 13, 11)) -> Grid:
    return centred_grid(shape, (4.1, 3.2, 5.7), centre_lps_mm=(-88.0, 45.0, 1203.0), orientation=orientation)


def some_segments(shape=(9, 13, 11)) -> list[Segment]:
    """Two that overlap and one apart; none symmetric, so that an exchanged axis shows."""
    first, second, third = (np.zeros(shape, bool) for _ in range(3))
    first[1:4, 2:7, 3:9] = True
    first[2, 7:9, 4] = True
    second[3:6, 5:10, 6:8] = True
    third[7, 1, 9] = True
    in_liver = Terminology(LESION.category, LESION.type, region=Code("10200004", "SCT", "Liver"))
    return [
        Segment("Lesion 1", first, terminology=in_liver, algorithm=Algorithm("lite", "0.1.0")),
        Segment("Knoten 2 (µ)", second, color_rgb=(0.1, 0.6, 0.95), terminology=LYMPH_NODE),
        Segment(
            "Left kidney",
            third,
            color_rgb=(0.0, 1.0, 0.5),
            terminology=ORGAN_TERMS["left kidney"],
            algorithm=Algorithm("total", "2", is_automatic=True),
        ),
    ]


def world_points(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """LPS centres (n, 3) of the true voxels, sorted; rounded so that two ways of computing agree."""
    return sorted_points(np.stack([np.asarray(grid.ijk_to_lps @ (i, j, k, 1.0))[:3] for k, j, i in np.argwhere(mask)]))


def sorted_points(points: np.ndarray) -> np.ndarray:
    rounded = np.round(points, 2) + 0.0
    return rounded[np.lexsort(rounded.T)]


def write_enhanced_pet(folder: Path, target: Path, *, frame_order: np.ndarray) -> Path:
    """One Enhanced PET file of the slices in `folder`, its frames in `frame_order`."""
    slices = sorted((pydicom.dcmread(p) for p in folder.iterdir()), key=lambda s: int(s.InstanceNumber))
    first = slices[0]
    enhanced = Dataset()
    enhanced.update({element.tag: element for element in first if element.tag.group in (0x08, 0x10, 0x20, 0x28)})
    enhanced.SOPClassUID = "1.2.840.10008.5.1.4.1.1.130"
    enhanced.SOPInstanceUID = generate_uid(entropy_srcs=["enhanced", str(first.SOPInstanceUID)])
    enhanced.NumberOfFrames = len(slices)
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = first.PixelSpacing, first.SliceThickness
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    enhanced.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in frame_order:
        frame, position, content = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = slices[index].ImagePositionPatient
        content.DimensionIndexValues = [int(index) + 1]
        frame.PlanePositionSequence, frame.FrameContentSequence = [position], [content]
        frames.append(frame)
    enhanced.PerFrameFunctionalGroupsSequence = frames
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        if keyword in enhanced:
            del enhanced[keyword]
    enhanced.PixelData = b"".join(slices[index].PixelData for index in frame_order)
    enhanced["PixelData"].VR = "OW"
    enhanced.file_meta = pydicom.dataset.FileMetaDataset()
    enhanced.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    enhanced.save_as(target, enforce_file_format=True)
    return target
