"""Segmentations in a `.seg.nrrd` file, as Slicer or `write_seg_nrrd` wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from SegAnyPETLib.data.nifti_file import LARGEST_RATIO, MAX_VOXELS
from SegAnyPETLib.data.segment import LESION, LONGEST_LABEL, Segment, Terminology
from SegAnyPETLib.data.slicer_terminology import terminology_of_entry
from SegAnyPETLib.data.volume_file import nrrd_fields, read_volume_with_fields
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.geometry import Grid

MOST_SEGMENTS = 4096
_SEGMENT_KEY = re.compile(r"segment(\d{1,6})_id")


def read_seg_nrrd(path: Path | str) -> tuple[list[Segment], Grid]:
    """Read the segments of a file on its own grid, which Slicer often crops to the segments.

    Args:
        path: A file with ``SegmentN_`` keys; segments may overlap, in layers.

    Returns:
        The segments that have a voxel, in the file's order, with name and terminology; and their grid.

    Raises:
        InputError: The file is no segmentation, is damaged, or has more than 4096 segments.
        GeometryError: Its geometry cannot be used.

    Source:
        Slicer 5.12, vtkMRMLSegmentationStorageNode: header keys SegmentN_ID, Name, Layer, LabelValue and Tags. Without
        Layer and LabelValue (Slicer 4.10) each segment is a layer of its own.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"Expected a .seg.nrrd file; found none at {path}. Check the path."
        raise InputError(msg)
    fields = nrrd_fields(path)
    numbers = sorted(int(match[1]) for key in fields if (match := _SEGMENT_KEY.fullmatch(key)))
    if not numbers or len(numbers) > MOST_SEGMENTS:
        msg = f"Expected 1 to {MOST_SEGMENTS} segments in {path}; found {len(numbers)}. Save it from Slicer again."
        raise InputError(msg)
    layers, grid = _layers(path, fields)
    segments = [_segment(fields, number, layers, path) for number in numbers]
    return [segment for segment in segments if segment.mask.any()], grid


def _layers(path: Path, fields: Mapping[str, str]) -> tuple[NDArray[Any], Grid]:  # any integer or float type
    """(layers, K, J, I) and the grid of one layer."""
    if fields.get("dimension") != "4":
        array, grid = (volume := read_volume_with_fields(path)).array, volume.grid
        return array[None], grid
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        claimed = float(np.prod([float(n) for n in reader.GetSize()])) * reader.GetNumberOfComponents()
        if claimed > min(MAX_VOXELS, LARGEST_RATIO * path.stat().st_size) or reader.GetDimension() != 3:
            msg = (
                f"{path} claims {claimed:.0f} voxels in {path.stat().st_size} bytes, or is not 3D. The file is damaged."
            )
            raise InputError(msg)
        image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        msg = f"{path} cannot be read as NRRD: {reason}. Copy or export it again."
        raise InputError(msg) from error
    direction = np.array(image.GetDirection()).reshape(3, 3)
    array = SimpleITK.GetArrayFromImage(image)
    array = array[..., None] if array.ndim == 3 else array
    grid = Grid(array.shape[:3], image.GetSpacing(), image.GetOrigin(), tuple(tuple(row) for row in direction.tolist()))
    return np.moveaxis(array, -1, 0), grid


def _segment(fields: Mapping[str, str], number: int, layers: NDArray[Any], path: Path) -> Segment:  # any number type
    name = f"segment{number}_"
    try:
        layer = int(fields.get(f"{name}layer", number))
        value = int(fields.get(f"{name}labelvalue", 1))
        mask = layers[layer] == value
    except (ValueError, IndexError) as error:
        msg = f"Segment {number + 1} of {path} names a layer or value that is not there ({error}). Save it again."
        raise InputError(msg) from error
    label = "".join(c for c in fields.get(f"{name}name", "") if c.isprintable()).strip()[:LONGEST_LABEL].strip()
    return Segment(label or f"Segment {number + 1}", mask, terminology=_terminology(fields.get(f"{name}tags", "")))


def _terminology(tags: str) -> Terminology:
    for tag in tags.split("|"):
        key, _, entry = tag.partition(":")
        if key == "TerminologyEntry":
            return terminology_of_entry(entry) or LESION
    return LESION
