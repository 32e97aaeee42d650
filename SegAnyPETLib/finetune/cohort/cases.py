"""Open a case of a cohort: its image in SUV and its lesions, through the readers of the library.

What counts as one lesion: each segment of the label is split into pieces that touch by face, edge or corner, and each
piece is a lesion of its own. Lesions that touch stay apart where they are segments (or values of a label map) of their
own. Segments that are coded or named as anatomy are no lesions unless the manifest names them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.data.dicom_files import has_dicom_magic, read_header
from SegAnyPETLib.data.dicom_seg_input import SEGMENTATION_CLASSES, read_dicom_seg
from SegAnyPETLib.data.dicom_values import text
from SegAnyPETLib.data.pet_series import read_pet_series
from SegAnyPETLib.data.rtstruct_input import read_rtstruct
from SegAnyPETLib.data.seg_nrrd_input import MOST_SEGMENTS, read_seg_nrrd
from SegAnyPETLib.data.segment import ALTERED_STRUCTURE, LONGEST_LABEL, LYMPH_NODE, Segment
from SegAnyPETLib.data.volume_file import read_volume_with_fields
from SegAnyPETLib.errors import GeometryError, InputError, SegAnyPETWarning
from SegAnyPETLib.finetune.cohort.findings import rounded_ml
from SegAnyPETLib.finetune.cohort.manifest import CohortEntry, Quality, Split
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.suv import SUVVolume, compute_suv, read_suv_image

if TYPE_CHECKING:
    from SegAnyPETLib.suv import SUVKind

SAME_PLACE_MM = 0.01
NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)
LEAST_KEPT = 0.5  # of a label's volume, when it is taken to the image's grid
ODD_VALUES, OTHER_GRID = "values", "grid"


@dataclass(frozen=True, eq=False)
class CohortLesion:
    """One lesion.

    Attributes:
        name: Of its segment.
        box: The smallest box around it.
        mask: Bool, of the box's shape, read-only.
        volume_ml: Of its voxels.
    """

    name: str
    box: VoxelBox
    mask: NDArray[np.bool_] = field(repr=False)
    volume_ml: float

    def placed_in(self, box: VoxelBox) -> NDArray[np.bool_]:
        """The lesion as a new array of a box that holds its own."""
        placed = np.zeros(box.shape_kji, dtype=bool)
        placed[self.box.shifted([-n for n in box.start_kji]).slices] = self.mask
        return placed


@dataclass(frozen=True)
class LoadNote:
    """Something that was tolerated while a case was opened.

    Attributes:
        kind: ``grid``, ``values`` or ``reading``.
        text: For people.
    """

    kind: str
    text: str


@dataclass(frozen=True, eq=False)
class CohortCase:
    """One case.

    Attributes:
        name: From the manifest.
        patient: From the manifest.
        quality: HQ or LQ.
        split: What it is used for.
        image: In SUV, (K, J, I).
        lesions: From the largest to the smallest; none where the label is empty.
        notes: What was tolerated while reading.
    """

    name: str
    patient: str
    quality: Quality
    split: Split
    image: SUVVolume
    lesions: tuple[CohortLesion, ...]
    notes: tuple[LoadNote, ...] = ()

    @property
    def suv(self) -> NDArray[np.float32]:
        """(K, J, I), read-only."""
        return self.image.array

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return self.image.grid

    @property
    def label(self) -> NDArray[np.bool_]:
        """All lesions together, (K, J, I), a new array."""
        whole = np.zeros(self.grid.shape_kji, dtype=bool)
        for lesion in self.lesions:
            whole[lesion.box.slices] |= lesion.mask
        return whole

    @property
    def volume_ml(self) -> float:
        """Of all lesions together; a voxel of two of them counts once."""
        return int(self.label.sum()) * self.grid.voxel_volume_ml


def load_case(entry: CohortEntry) -> CohortCase:
    """Open a case; nothing beside it is changed.

    A label on another grid than the image is taken to it: each voxel of the image gets what the nearest voxel of the
    label says, and a note says so.

    Raises:
        InputError: A file is absent or damaged, or the label lacks a segment that the manifest names.
        DICOMError: A DICOM file or series cannot be used.
        SUVError: The image has no trustworthy SUV.
        GeometryError: Label and image do not share half of the label.
    """
    notes: list[LoadNote] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", SegAnyPETWarning)
        image, frame = _read_image(entry)
        segments = _read_label(entry, image.grid, frame, notes)
    notes += [LoadNote("reading", str(warning.message)) for warning in caught]
    lesions = [lesion for segment in segments for lesion in _pieces(segment, image.grid)]
    lesions.sort(key=lambda lesion: (-lesion.volume_ml, lesion.box.start_kji))
    return CohortCase(entry.case, entry.patient, entry.quality, entry.split, image, tuple(lesions), tuple(notes))


def make_case(
    entry: CohortEntry, image: SUVVolume, segments: Sequence[Segment], *, notes: tuple[LoadNote, ...] = ()
) -> CohortCase:
    """A case of what is in memory already, for example of an open scene; segments lie on the image's grid.

    Raises:
        GeometryError: A segment has another shape than the image.
    """
    for segment in segments:
        if segment.mask.shape != image.grid.shape_kji:
            msg = f"Expected segments (K, J, I) = {image.grid.shape_kji} as the image; found {segment.mask.shape}."
            raise GeometryError(msg)
    lesions = [lesion for segment in segments for lesion in _pieces(segment, image.grid)]
    lesions.sort(key=lambda lesion: (-lesion.volume_ml, lesion.box.start_kji))
    return CohortCase(entry.case, entry.patient, entry.quality, entry.split, image, tuple(lesions), notes)


def _read_image(entry: CohortEntry) -> tuple[SUVVolume, str | None]:
    """The image, and the UID of its frame of reference where it is DICOM."""
    kind: SUVKind = "bw"
    if entry.image.is_dir() or _is_dicom(entry.image):
        series = read_pet_series(entry.image, series_instance_uid=entry.series or None)
        return compute_suv(series, kind=kind), text(read_header(series.source_files[0]), "FrameOfReferenceUID")
    return read_suv_image(entry.image, kind=kind, units=entry.units, suv_factor=entry.suv_factor), None


def _is_dicom(path: Path) -> bool:
    try:
        return has_dicom_magic(path)
    except OSError as error:
        msg = f"Expected a file that can be read at {path}; {error.strerror}. Check the path in the manifest."
        raise InputError(msg) from error


def _read_label(entry: CohortEntry, grid: Grid, frame: str | None, notes: list[LoadNote]) -> list[Segment]:
    path = entry.label
    if _is_dicom(path):
        is_seg = text(read_header(path), "SOPClassUID") in SEGMENTATION_CLASSES
        read: Callable[..., list[Segment]] = read_dicom_seg if is_seg else read_rtstruct
        segments = read(path, grid=grid, frame_of_reference_uid=frame)
    else:
        segments, own_grid = _read_file(path, notes)
        if not own_grid.is_close(grid, tolerance_mm=SAME_PLACE_MM):
            segments = _on_grid(segments, own_grid, grid, notes, name=path.name)
    return _chosen(segments, entry)


def _read_file(path: Path, notes: list[LoadNote]) -> tuple[list[Segment], Grid]:
    if path.name.lower().endswith(".seg.nrrd"):
        return read_seg_nrrd(path)
    volume = read_volume_with_fields(path)
    if any(key.startswith("segment0_") for key in volume.fields):
        return read_seg_nrrd(path)
    values = np.unique(volume.array)
    values = values[values != 0]
    is_whole = bool((values == np.round(values)).all() and (values > 0).all()) and len(values) <= MOST_SEGMENTS
    if is_whole:
        if len(values) > 1 or (len(values) == 1 and values[0] not in (1.0, 255.0)):
            shown = ", ".join(f"{value:g}" for value in values[:6])
            notes.append(LoadNote(ODD_VALUES, f"holds the values {shown}; each is taken for a lesion of its own"))
        made = [Segment(f"{value:g}", volume.array == value) for value in values]
        return made, volume.grid
    low, high = float(values.min()), float(values.max())
    text_of = f"holds {len(values)} values from {low:g} to {high:g}; what is above 0.5 is taken for lesion"
    notes.append(LoadNote(ODD_VALUES, text_of))
    mask = volume.array > 0.5
    return ([Segment("1", mask)] if mask.any() else []), volume.grid


def _chosen(segments: Sequence[Segment], entry: CohortEntry) -> list[Segment]:
    if not entry.label_names:
        return [segment for segment in segments if is_lesion(segment)]
    wanted = {name[:LONGEST_LABEL] for name in entry.label_names}
    found = [segment for segment in segments if segment.label in wanted]
    missing = sorted(wanted - {segment.label for segment in found})
    if missing:
        there = ", ".join(segment.label for segment in segments) or "none"
        msg = (
            f"Expected a segment {missing[0]!r} in the label of case {entry.case}; it has {there[:300]}. "
            "Correct label_name in the manifest."
        )
        raise InputError(msg)
    return found


def is_lesion(segment: Segment) -> bool:
    """True unless the segment is coded as anatomy or tissue; lymph nodes are lesions."""
    terms = segment.terminology
    return terms.category.value == ALTERED_STRUCTURE.value or terms.type.value == LYMPH_NODE.type.value


def _on_grid(segments: Sequence[Segment], own: Grid, grid: Grid, notes: list[LoadNote], *, name: str) -> list[Segment]:
    """The segments on the image's grid, by nearest neighbour."""
    before = sum(int(segment.mask.sum()) for segment in segments) * own.voxel_volume_ml
    moved = [_sampled(segment, own, grid) for segment in segments]
    after = sum(int(mask.sum()) for mask in moved) * grid.voxel_volume_ml
    if before and after < LEAST_KEPT * before:
        msg = (
            f"Expected {name} where its image lies; {rounded_ml(after)} of its {rounded_ml(before)} are inside the "
            "image. Check that both belong together, or resample the label to the image first."
        )
        raise GeometryError(msg)
    corners = np.abs(np.asarray(grid.bounds_lps_mm) - np.asarray(own.bounds_lps_mm)).max()
    sizes = "of the same size" if own.shape_kji == grid.shape_kji else f"{own.shape_kji} against {grid.shape_kji}"
    notes.append(
        LoadNote(
            OTHER_GRID,
            f"lies on another grid than the image ({sizes}, up to {corners:.1f} mm apart); it can be taken to the "
            f"image's grid, where its {rounded_ml(before)} become {rounded_ml(after)}",
        )
    )
    kept = zip(segments, moved, strict=True)
    return [Segment(old.label, mask, terminology=old.terminology) for old, mask in kept if mask.any()]


def _sampled(segment: Segment, own: Grid, grid: Grid) -> NDArray[np.bool_]:
    matrix = own.lps_to_ijk @ grid.ijk_to_lps
    turned = matrix[:3, :3][::-1, ::-1]  # the same map for (k, j, i)
    # grid-constant: a place that rounding puts a hair outside the outermost voxel centres still lies in the voxel.
    sampled: NDArray[Any] = ndimage.affine_transform(
        segment.mask.view(np.uint8),
        turned,
        offset=matrix[:3, 3][::-1],
        output_shape=grid.shape_kji,
        order=0,
        mode="grid-constant",
    )
    return sampled.astype(bool)


def _pieces(segment: Segment, grid: Grid) -> list[CohortLesion]:
    whole = VoxelBox.of_mask(segment.mask)
    if whole.is_empty:
        return []
    numbers, count = ndimage.label(segment.mask[whole.slices], structure=NEIGHBOURS_26)
    found = []
    for number, place in enumerate(ndimage.find_objects(numbers, count), start=1):
        mask = numbers[place] == number
        mask.setflags(write=False)
        k, j, i = (part.start + first for part, first in zip(place, whole.start_kji, strict=True))
        box = VoxelBox((k, j, i), (k + mask.shape[0], j + mask.shape[1], i + mask.shape[2]))
        found.append(CohortLesion(segment.label, box, mask, int(mask.sum()) * grid.voxel_volume_ml))
    return found
