"""Masks made earlier, to be refined: every segment of a DICOM SEG, RTSTRUCT, `.seg.nrrd` or labelmap is a lesion."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.batch.prompting.gathered import MOST_LESIONS, GatheredLesion
from SegAnyPETLib.errors import InputError, SegAnyPETWarning
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.preprocess.region import box_covering
from SegAnyPETLib.session.prompts import SeedMask

if TYPE_CHECKING:
    from SegAnyPETLib.data import Segment, Terminology

SEGMENTATION_ENDING = ".seg.nrrd"
LABELMAP_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha")
SLAB_VOXELS = 4_000_000
_Named = tuple[str, NDArray[np.bool_], "Terminology | None"]
_KINDS = {"SEG": "DICOM SEG", "RTSTRUCT": "RTSTRUCT"}


def is_mask_file(path: Path) -> bool:
    """True for a volume file that can hold a mask; DICOM is told by its header instead."""
    return path.name.lower().endswith(LABELMAP_ENDINGS)


def read_masks(
    path: Path, *, grid: Grid, modality: str | None = None, frame_of_reference_uid: str | None = None
) -> tuple[list[GatheredLesion], tuple[str, ...]]:
    """Every segment of a file as a lesion with a seed mask, on `grid`.

    Args:
        path: The file.
        grid: Of the PET.
        modality: ``SEG`` or ``RTSTRUCT`` for DICOM; None for a volume file.
        frame_of_reference_uid: Of the PET; None where it is not known.

    Returns:
        The lesions, and notes on what was changed to bring them onto the grid.

    Raises:
        InputError: The file cannot be read, holds no mask, or one that does not meet the image.
        DICOMError: A DICOM file cannot be read.
        GeometryError: The masks do not meet the image.
    """
    if modality is None:
        return _read_volume(path, grid)
    segments, notes = _read_dicom(path, grid, modality, frame_of_reference_uid)
    lesions = [_seed(s.label, s.mask, _KINDS[modality], s.terminology) for s in segments]
    return lesions, notes


def _read_dicom(
    path: Path, grid: Grid, modality: str, frame_of_reference_uid: str | None
) -> tuple[list[Segment], tuple[str, ...]]:
    from SegAnyPETLib.data.dicom_seg_input import read_dicom_seg
    from SegAnyPETLib.data.rtstruct_input import read_rtstruct

    read = read_dicom_seg if modality == "SEG" else read_rtstruct
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SegAnyPETWarning)
        segments = read(path, grid=grid, frame_of_reference_uid=frame_of_reference_uid)
    # The readers begin with the file's name, which may be a patient's.
    return segments, tuple(str(w.message).replace(path.name, f"the {_KINDS[modality]}") for w in said)


def _read_volume(path: Path, grid: Grid) -> tuple[list[GatheredLesion], tuple[str, ...]]:
    from SegAnyPETLib.data.seg_nrrd_input import read_seg_nrrd
    from SegAnyPETLib.data.volume_file import read_volume_with_fields

    if path.name.lower().endswith(SEGMENTATION_ENDING):
        segments, source = read_seg_nrrd(path)
        found: list[_Named] = [(s.label, s.mask, s.terminology) for s in segments]
        origin = "segmentation (.seg.nrrd)"
    else:
        volume = read_volume_with_fields(path)
        source, origin = volume.grid, "labelmap"
        found = [(f"Label {value}", volume.array == value, None) for value in _values_of(volume.array)]
    lesions, notes = [], []
    for name, mask, terminology in found:
        on_grid = mask if source.is_close(grid) else _nearest_on(mask, source, grid)
        if not on_grid.any():
            msg = f"Expected masks that meet the image; '{name}' of the {origin} has no voxel in it. Check the patient."
            raise InputError(msg)
        lesions.append(_seed(name, on_grid, origin, terminology))
    if not lesions:
        msg = f"Expected a mask with at least one voxel; the {origin} holds none."
        raise InputError(msg)
    if not source.is_close(grid):
        notes.append(
            f"The {origin} has another grid than the PET: each voxel of the PET took the value that its centre lies in."
        )
    return lesions, tuple(notes)


def _seed(name: str, mask: NDArray[np.bool_], origin: str, terminology: Terminology | None) -> GatheredLesion:
    return GatheredLesion(name, (SeedMask(mask),), f"{origin}, refined", terminology)


def _values_of(array: NDArray[np.float32]) -> list[int]:
    """The labels of a labelmap, without 0."""
    if not (array == np.rint(array)).all() or array.min() < 0:
        msg = "Expected whole numbers from 0 as values of a labelmap; found others. Threshold it, or give it as labels."
        raise InputError(msg)
    values = [int(v) for v in np.unique(array) if v > 0]
    if len(values) > MOST_LESIONS:
        msg = f"Expected at most {MOST_LESIONS} labels in a labelmap; found {len(values)}. Is it an image?"
        raise InputError(msg)
    return values


def _nearest_on(mask: NDArray[np.bool_], source: Grid, grid: Grid) -> NDArray[np.bool_]:
    """The mask on another grid: each voxel takes the value of the voxel of `source` that its centre lies in."""
    result = np.zeros(grid.shape_kji, dtype=bool)
    inner = VoxelBox.of_mask(mask)
    box = inner if inner.is_empty else box_covering(source, inner, grid)
    if box.is_empty:
        return result
    _, rows, columns = box.shape_kji
    thickness = max(1, SLAB_VOXELS // (rows * columns))
    for first in range(box.start_kji[0], box.stop_kji[0], thickness):
        slab = VoxelBox((first, *box.start_kji[1:]), (min(first + thickness, box.stop_kji[0]), *box.stop_kji[1:]))
        index = np.stack(np.meshgrid(*(np.arange(n) for n in slab.shape_kji), indexing="ij"), axis=-1)
        at = source.lps_to_kji(grid.kji_to_lps(index + np.asarray(slab.start_kji)))
        nearest = np.floor(at + 0.5 + 1e-6).astype(int)  # a centre on a border must not fall to a side by rounding
        inside = np.asarray(((nearest >= 0) & (nearest < source.shape_kji)).all(axis=-1))
        k, j, i = np.moveaxis(np.where(inside[..., None], nearest, 0), -1, 0)
        result[slab.slices] = inside & mask[k, j, i]
    return result
