"""DICOM SEG of any writer, taken onto the grid of an image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import iter_pixels

from SegAnyPETLib.data.dicom_files import read_with_pixels
from SegAnyPETLib.data.dicom_values import faults_named, items, needed_number, number, numbers, text
from SegAnyPETLib.data.enhanced_pet import MOST_FRAMES, frame_headers
from SegAnyPETLib.data.frame_sampling import PlaneStack, sample_frames, stack_with_gaps
from SegAnyPETLib.data.pixels import NATIVE_SYNTAXES, plane_shape_ji, stored_planes
from SegAnyPETLib.data.planes import plane_of
from SegAnyPETLib.data.segment import LESION, Algorithm, Segment
from SegAnyPETLib.data.segment_meaning import label_of, terminology_of, uid_of
from SegAnyPETLib.errors import DICOMError, GeometryError, InconsistentSeriesError, SegAnyPETWarning
from SegAnyPETLib.geometry import Grid

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # and label map
MOST_SEGMENTS = 4096
MOST_MASK_BYTES = 64 << 30  # of all masks; memory is taken only where a mask has voxels
MOST_PIXELS = 1 << 34  # of all frames; they are kept as bits
_SEND_AGAIN = "Export the segmentation again."
_PackedFrames = dict[int, list[tuple[int, NDArray[np.uint8]]]]


@dataclass(frozen=True)
class _Frames:
    """Where the frames lie and which segment each belongs to; None where a frame holds all of them."""

    stack: PlaneStack
    numbers: tuple[int | None, ...]


def read_dicom_seg(path: Path | str, *, grid: Grid, frame_of_reference_uid: str | None = None) -> list[Segment]:
    """Read the segments of a DICOM SEG as masks on `grid`.

    Frames are placed by their own position and orientation. Where their pixels are voxels of `grid` (the whole of it,
    a part, a flipped or turned one) the masks are exact; else each voxel takes the pixel its centre lies in, with a
    warning. BINARY, LABELMAP, and FRACTIONAL, of which at least half of the maximum is inside.

    Args:
        path: The file.
        grid: Where the masks shall lie, usually that of the PET.
        frame_of_reference_uid: Of the image; a segmentation in another one is refused.

    Returns:
        The segments that have voxels on `grid`, in the file's order, masks (K, J, I).

    Raises:
        DICOMError: The file cannot be read, is no DICOM SEG, or is larger than any sensible one.
        MissingTagError: A tag that the place of the frames needs is absent.
        InconsistentSeriesError: Frames contradict each other, or the frame of reference is another one.
        GeometryError: No segment has a voxel on `grid`.

    Warns:
        SegAnyPETWarning: Masks were resampled, or parts of them lie outside the grid.

    Source:
        DICOM PS3.3 A.51 and C.8.20; label maps A.90.
    """
    path = Path(path)
    dataset = read_with_pixels(path)
    if text(dataset, "SOPClassUID") not in SEGMENTATION_CLASSES:
        msg = f"Expected a DICOM SEG; {path.name} is of modality {text(dataset, 'Modality')}. Choose another file."
        raise DICOMError(msg)
    _check_frame_of_reference(dataset, frame_of_reference_uid, name=path.name)
    described = _descriptions(dataset, grid, name=path.name)
    frames = _frames(dataset, grid, name=path.name)
    packed = _packed(dataset, frames, name=path.name)
    unknown = sorted(set(packed) - set(described))
    if unknown:
        msg = f"{path.name} has frames of segment {unknown[0]}, which it does not describe. {_SEND_AGAIN}"
        raise InconsistentSeriesError(msg)
    masks = sample_frames(frames.stack, packed, grid=grid)
    _warn_of_changes(masks, packed, frames.stack, grid, name=path.name)
    result = [_segment(described[n], n, masks[n]) for n in described if n in masks and masks[n].any()]
    if not result:
        msg = (
            f"No segment of {path.name} has a voxel inside the image. Check that it belongs to this image, and that "
            "it is not empty."
        )
        raise GeometryError(msg)
    return result


def _check_frame_of_reference(dataset: Dataset, expected: str | None, *, name: str) -> None:
    found = text(dataset, "FrameOfReferenceUID")
    if expected is not None and found is not None and found != expected:
        msg = (
            f"Expected a segmentation in the image's frame of reference {expected}; {name} is in {found}. "
            "Register and resample it to the image first."
        )
        raise InconsistentSeriesError(msg)


def _descriptions(dataset: Dataset, grid: Grid, *, name: str) -> dict[int, Dataset]:
    described: dict[int, Dataset] = {}
    for item in items(dataset, "SegmentSequence"):
        value = number(item, "SegmentNumber")
        if value is None or value != int(value) or value < 0 or int(value) in described:
            msg = f"Segments of {name} should have different whole numbers; found {value}. {_SEND_AGAIN}"
            raise InconsistentSeriesError(msg)
        described[int(value)] = item
    bytes_needed = len(described) * int(np.prod(grid.shape_kji))
    if len(described) > MOST_SEGMENTS or bytes_needed > MOST_MASK_BYTES:
        msg = (
            f"{name} has {len(described)} segments, on this image {bytes_needed >> 20} MB of masks; at most "
            f"{MOST_SEGMENTS} and {MOST_MASK_BYTES >> 20} MB are read. Split it, or give a smaller image."
        )
        raise DICOMError(msg)
    return described


def _frames(dataset: FileDataset, grid: Grid, *, name: str) -> _Frames:
    headers = frame_headers(dataset, name=name, least=1)
    planes = [plane_of(header, name=f"frame {n} of {name}") for n, header in enumerate(headers, start=1)]
    planes = [replace(plane, sop_instance_uid=None) for plane in planes]
    said = number(headers[0], "SpacingBetweenSlices") or number(headers[0], "SliceThickness")
    stack = stack_with_gaps(planes, grid=grid, distance_mm=said)
    if text(dataset, "SegmentationType") == "LABELMAP":
        return _Frames(stack, (None,) * len(headers))
    owners: list[int | None] = []
    for n, header in enumerate(headers, start=1):
        needed_for = f"frame {n} of {name}, which belongs to a segment"
        value = needed_number(header, "ReferencedSegmentNumber", needed_for=needed_for, advice=_SEND_AGAIN)
        owners.append(int(value))
    return _Frames(stack, tuple(owners))


def _packed(dataset: FileDataset, frames: _Frames, *, name: str) -> _PackedFrames:
    """The pixels of each segment, plane by plane, as bits; planes without any are left out."""
    packed: _PackedFrames = {}
    for n, (owner, values) in enumerate(zip(frames.numbers, _stored_frames(dataset, frames, name=name), strict=True)):
        if owner is None:
            padding = number(dataset, "PixelPaddingValue")
            labels = [label for label in np.unique(values).tolist() if label not in (0, padding)]
            masks = [(label, values == label) for label in labels]
        else:
            masks = [(owner, values != 0)]
        for segment, mask in masks:
            if mask.any():
                packed.setdefault(segment, []).append((n, np.packbits(mask)))
    return packed


def _stored_frames(dataset: FileDataset, frames: _Frames, *, name: str) -> Iterator[NDArray[Any]]:
    """Frame by frame: 0 and 1 of one segment, or the numbers of segments."""
    kind, count = text(dataset, "SegmentationType"), len(frames.numbers)
    rows, columns = plane_shape_ji(dataset, name=name)
    if count > MOST_FRAMES or count * rows * columns > MOST_PIXELS:
        msg = f"{name} claims {count} frames of {rows} x {columns} pixels; that is larger than any segmentation of PET."
        raise DICOMError(msg)
    if kind == "BINARY" and number(dataset, "BitsAllocated") == 1:
        yield from _bits(dataset, count, (rows, columns), name=name)
        return
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        msg = f"SegmentationType (0062,0001) of {name} should be BINARY, FRACTIONAL or LABELMAP; found {kind}."
        raise DICOMError(msg)
    inside = 1.0
    if kind == "FRACTIONAL":
        needed_for = f"the fractions of {name}"
        most = needed_number(dataset, "MaximumFractionalValue", needed_for=needed_for, advice=_SEND_AGAIN)
        inside = max(1.0, most / 2)
    for values in _bytes(dataset, count, (rows, columns), name=name):
        yield values if kind == "LABELMAP" else (values >= inside)


def _bits(dataset: FileDataset, count: int, shape_ji: tuple[int, int], *, name: str) -> Iterator[NDArray[Any]]:
    """Frames of one bit a pixel, which follow each other without a gap, least significant bit first (PS3.5 8.1.1)."""
    rows, columns = shape_ji
    size = rows * columns
    if (text(dataset.file_meta, "TransferSyntaxUID") or "") not in NATIVE_SYNTAXES:
        yield from _decoded(dataset, count, shape_ji, name=name)
        return
    element = dataset.get_item("PixelData", keep_deferred=True)
    data = getattr(element, "value", None)
    needed = (count * size + 7) // 8
    if not isinstance(data, bytes) or len(data) < needed:
        found = len(data) if isinstance(data, bytes) else 0
        msg = f"{name} is truncated: {count} frames need {needed} bytes of Pixel Data, found {found}. Copy it again."
        raise DICOMError(msg)
    for n in range(count):
        start, stop = n * size, (n + 1) * size
        part = np.frombuffer(data, np.uint8, count=(stop + 7) // 8 - start // 8, offset=start // 8)
        bits = np.unpackbits(part, bitorder="little")[start % 8 : start % 8 + size]
        yield bits.reshape(rows, columns)


def _bytes(dataset: FileDataset, count: int, shape_ji: tuple[int, int], *, name: str) -> Iterator[NDArray[Any]]:
    if (text(dataset.file_meta, "TransferSyntaxUID") or "") in NATIVE_SYNTAXES:
        yield from stored_planes(dataset, frames=count, name=name)
    else:
        yield from _decoded(dataset, count, shape_ji, name=name)


def _decoded(dataset: FileDataset, count: int, shape_ji: tuple[int, int], *, name: str) -> Iterator[NDArray[Any]]:
    """Compressed frames, one at a time, so that a small file cannot fill the memory."""
    decoder = iter_pixels(dataset, raw=True)
    for n in range(1, count + 1):
        with faults_named(f"The pixels of {name} cannot be decoded (convert it, for example with gdcmconv --raw)"):
            plane = next(decoder, None)
        if plane is None or plane.shape != shape_ji or plane.dtype.kind not in "ub":
            found = "nothing" if plane is None else f"{plane.shape} of {plane.dtype}"
            msg = f"Frame {n} of {name} should decode to {shape_ji} whole numbers; found {found}. {_SEND_AGAIN}"
            raise DICOMError(msg)
        yield plane


def _warn_of_changes(
    masks: dict[int, NDArray[np.bool_]], packed: _PackedFrames, stack: PlaneStack, grid: Grid, *, name: str
) -> None:
    pixels = {n: sum(int(np.bitwise_count(plane).sum()) for _, plane in planes) for n, planes in packed.items()}
    voxels = {n: int(np.count_nonzero(mask)) for n, mask in masks.items()}
    if stack.is_exact_on(grid):
        lost = [n for n in pixels if voxels[n] < pixels[n]]
        if lost:
            msg = (
                f"Parts of {len(lost)} segment(s) of {name} lie outside the image or twice at one place: of segment "
                f"{lost[0]} {voxels[lost[0]]} of {pixels[lost[0]]} voxels are left."
            )
            warnings.warn(msg, SegAnyPETWarning, stacklevel=3)
        return
    before = sum(pixels.values()) * stack.grid.voxel_volume_ml
    after = sum(voxels.values()) * grid.voxel_volume_ml
    gone = sum(1 for n in pixels if pixels[n] and not voxels[n])
    msg = (
        f"{name} lies on another grid than the image; each voxel took the nearest pixel. All segments together had "
        f"{before:.4g} ml and have {after:.4g} ml" + (f"; {gone} segment(s) have no voxel left." if gone else ".")
    )
    warnings.warn(msg, SegAnyPETWarning, stacklevel=3)


def _segment(item: Dataset, segment_number: int, mask: NDArray[np.bool_]) -> Segment:
    return Segment(
        label_of(item, "SegmentLabel", otherwise=f"Segment {segment_number}"),
        mask,
        color_rgb=_color(item) or Segment.color_rgb,
        terminology=terminology_of(item, type_keyword="SegmentedPropertyTypeCodeSequence") or LESION,
        algorithm=_algorithm(item),
        tracking_uid=uid_of(item, "TrackingUID"),
    )


def _color(item: Dataset) -> tuple[float, float, float] | None:
    lab = [int(value) for value in numbers(item, "RecommendedDisplayCIELabValue")]
    if len(lab) != 3 or not all(0 <= value <= 0xFFFF for value in lab):
        return None
    from highdicom.color import CIELabColor

    red, green, blue = (int(part) for part in CIELabColor.from_dicom_value(lab).to_rgb())
    return red / 255, green / 255, blue / 255


def _algorithm(item: Dataset) -> Algorithm | None:
    kind = text(item, "SegmentAlgorithmType")
    if kind not in ("AUTOMATIC", "SEMIAUTOMATIC"):
        return None
    source = next(iter(items(item, "SegmentationAlgorithmIdentificationSequence")), item)
    name = label_of(source, "AlgorithmName", otherwise="") or label_of(item, "SegmentAlgorithmName", otherwise="")
    if not name:
        return None
    return Algorithm(name, label_of(source, "AlgorithmVersion", otherwise="unknown"), kind == "AUTOMATIC")
