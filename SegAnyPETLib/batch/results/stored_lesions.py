"""The lesions of a study's folder, to be looked at and corrected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.batch.results.study_folder import MASKS_NAME, StudyJSON, file_hash, read_study_json
from SegAnyPETLib.data.segment import Segment
from SegAnyPETLib.data.slicer_terminology import terminology_of_entry
from SegAnyPETLib.errors import GeometryError, InputError
from SegAnyPETLib.geometry import VoxelBox

if TYPE_CHECKING:
    from SegAnyPETLib.geometry import Grid

_ADVICE = "Run the study again."


def load_lesions(folder: Path | str, grid: Grid) -> list[Segment]:
    """The lesions as they were written, from `lesions.seg.nrrd`, which every result with a lesion holds.

    Args:
        folder: Of the study.
        grid: Of the PET image.

    Returns:
        Label, mask, colour, coded meaning and tracking UID of each, in order; none for a study without a lesion.

    Raises:
        InputError: The folder holds no result, or its files were changed.
        GeometryError: The masks lie on another grid.
    """
    folder = Path(folder)
    content = read_study_json(folder)
    rows: list[dict[str, Any]] = content["lesions"]  # JSON values
    if not rows:
        return []
    path = folder / MASKS_NAME
    try:
        is_as_written = file_hash(path) == content["files"].get(MASKS_NAME)
    except OSError as error:
        msg = f"Expected the masks of study {folder.name} in {path}; the file cannot be read. {_ADVICE}"
        raise InputError(msg) from error
    if not is_as_written:
        msg = f"Expected {path} as it was written with {folder.name}; it was changed since. {_ADVICE}"
        raise InputError(msg)
    return _segments(path, content, grid)


def _segments(path: Path, content: StudyJSON, grid: Grid) -> list[Segment]:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_grid(reader, grid)
        layers = SimpleITK.GetArrayFromImage(reader.Execute()).reshape(*grid.shape_kji, -1)
        keys = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys() if key.startswith("Segment")}
        return [_segment(keys, index, row, layers=layers) for index, row in enumerate(content["lesions"])]
    except (RuntimeError, KeyError, ValueError, IndexError, TypeError) as error:
        msg = f"Expected masks that fit {content['key']} in {path}; they do not ({type(error).__name__}). {_ADVICE}"
        raise InputError(msg) from error


def _check_grid(reader: Any, grid: Grid) -> None:  # SimpleITK ships no types
    found = tuple(reversed(reader.GetSize()[:3]))
    offset_mm = np.abs(np.subtract(reader.GetOrigin()[:3], grid.origin_lps_mm)).max() if found == grid.shape_kji else 0
    if found != grid.shape_kji or offset_mm > min(grid.spacing_ijk_mm) / 4:
        msg = (
            f"Expected masks on the image's grid, (K, J, I) = {grid.shape_kji}; found {found}, {offset_mm:.1f} mm "
            "apart. Open the PET series that the study was segmented on."
        )
        raise GeometryError(msg)


def _box(extent: str) -> VoxelBox:
    """The box of a segment's extent, "i first, i last, j first, j last, k first, k last"."""
    numbers = [int(part) for part in extent.split()]
    first, last = numbers[::2], numbers[1::2]
    return VoxelBox((first[2], first[1], first[0]), (last[2] + 1, last[1] + 1, last[0] + 1))


def _segment(keys: dict[str, str], index: int, row: dict[str, Any], *, layers: NDArray[np.uint8]) -> Segment:
    own = {key.removeprefix(f"Segment{index}_"): text for key, text in keys.items()}
    mask = np.zeros(layers.shape[:3], dtype=bool)
    box = _box(own["Extent"]).slices  # a fortieth of the time of looking at every voxel for each lesion
    mask[box] = layers[..., int(own["Layer"])][box] == int(own["LabelValue"])
    red, green, blue = (float(part) for part in own["Color"].split())
    entry = own["Tags"].partition("TerminologyEntry:")[2].partition("|")[0]
    terms = terminology_of_entry(entry)
    segment = Segment(str(row["label"]), mask, (red, green, blue), tracking_uid=row["tracking_uid"])
    if terms is None:
        return segment
    return Segment(segment.label, mask, segment.color_rgb, terminology=terms, tracking_uid=segment.tracking_uid)
