"""Segmentations as `.seg.nrrd`, the file Slicer loads with names, colours and terminology."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.data.nifti_output import require_ending
from SegAnyPETLib.data.segment import Segment, require_segments
from SegAnyPETLib.data.slicer_terminology import slicer_terminology_entry
from SegAnyPETLib.geometry import Grid, VoxelBox

_WHOLE = {
    "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
    "Segmentation_MasterRepresentation": "Binary labelmap",
    "Segmentation_ReferenceImageExtentOffset": "0 0 0",
}
COMPRESSION_LEVEL = 3  # masks: five times faster than 9 for a tenth more bytes


def write_seg_nrrd(path: Path | str, segments: Sequence[Segment], *, grid: Grid) -> Path:
    """Write segments for Slicer. Segments that overlap go into layers; each voxel of each segment is kept.

    Args:
        path: Must end in .seg.nrrd, or Slicer would take it for a volume.
        segments: At least one, none empty, masks (K, J, I) on `grid`.
        grid: Written in full, so that every reader gets the image's own grid.

    Raises:
        GeometryError: A mask does not fit the grid.
        OutputError: There is no segment, one is empty, the name does not fit, or the file cannot be written.

    Source:
        Slicer 5.12, vtkMRMLSegmentationStorageNode: header keys SegmentN_* and Segmentation_*.
    """
    path = Path(path)
    require_ending(path, (".seg.nrrd",))
    checked = require_segments(segments, grid)
    layers = assign_layers(checked)
    labels = _label_layers(checked, layers, grid)
    keys = dict(_WHOLE)
    for index, segment in enumerate(checked):
        keys |= _segment_keys(index, segment, layer=layers[index], value=_value_in_layer(layers, index))
    with write_atomically(path) as temporary:
        _write_nrrd(temporary, labels, grid, keys)
    return path


def assign_layers(segments: Sequence[Segment]) -> tuple[int, ...]:
    """The first layer each segment fits into without touching a voxel of an earlier one there."""
    taken: list[NDArray[np.bool_]] = []
    counts: list[int] = []
    chosen = []
    for segment in segments:
        free = (n for n, layer in enumerate(taken) if counts[n] < 255 and not (layer & segment.mask).any())
        layer = next(free, len(taken))
        if layer == len(taken):
            taken.append(np.zeros_like(segment.mask))
            counts.append(0)
        taken[layer] |= segment.mask
        counts[layer] += 1
        chosen.append(layer)
    return tuple(chosen)


def _value_in_layer(layers: Sequence[int], index: int) -> int:
    return 1 + sum(layer == layers[index] for layer in layers[:index])


def _label_layers(segments: Sequence[Segment], layers: Sequence[int], grid: Grid) -> list[NDArray[np.uint8]]:
    labels = [np.zeros(grid.shape_kji, dtype=np.uint8) for _ in range(max(layers) + 1)]
    for index, segment in enumerate(segments):
        labels[layers[index]][segment.mask] = _value_in_layer(layers, index)
    return labels


def _write_nrrd(path: Path, layers: Sequence[NDArray[np.uint8]], grid: Grid, keys: dict[str, str]) -> None:
    """Header in UTF-8, as Slicer reads it (pynrrd writes ASCII only), then the labels as gzip."""
    directions = [f"({','.join(repr(float(v)) for v in column)})" for column in grid.ijk_to_lps[:3, :3].T]
    sizes, kinds = [*reversed(grid.shape_kji)], ["domain"] * 3
    if len(layers) > 1:
        directions, sizes, kinds = ["none", *directions], [len(layers), *sizes], ["list", *kinds]
    lines = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {len(sizes)}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(directions)}",
        f"kinds: {' '.join(kinds)}",
        "encoding: gzip",
        f"space origin: ({','.join(repr(float(v)) for v in grid.origin_lps_mm)})",
        *(f"{key}:={_escaped(text)}" for key, text in keys.items()),
    ]
    # Fastest axis first: layers, then i, j, k.
    data = layers[0] if len(layers) == 1 else np.stack(layers, axis=-1)
    with path.open("wb") as stream:
        stream.write(("\n".join(lines) + "\n\n").encode())
        with gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=COMPRESSION_LEVEL, mtime=0) as packed:
            packed.write(data.tobytes())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _segment_keys(index: int, segment: Segment, *, layer: int, value: int) -> dict[str, str]:
    box = VoxelBox.of_mask(segment.mask)
    extent = " ".join(f"{box.start_kji[axis]} {box.stop_kji[axis] - 1}" for axis in (2, 1, 0))
    tags = {"TerminologyEntry": slicer_terminology_entry(segment.terminology)}
    if segment.algorithm is not None:
        tags["SegAnyPET.Algorithm"] = f"{segment.algorithm.name} {segment.algorithm.version}"
    keys = {
        "ID": f"Segment_{index + 1}",
        "Name": segment.label,
        "NameAutoGenerated": "0",
        "Color": " ".join(f"{part:.6g}" for part in segment.color_rgb),
        "ColorAutoGenerated": "0",
        "Extent": extent,
        "Layer": str(layer),
        "LabelValue": str(value),
        "Tags": "".join(f"{name}:{text}|" for name, text in tags.items()),
    }
    return {f"Segment{index}_{name}": text for name, text in keys.items()}
