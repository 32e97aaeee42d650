"""RT Structure Sets of any writer, filled on the grid of an image."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from SegAnyPETLib.data.dicom_files import read_with_pixels
from SegAnyPETLib.data.dicom_values import items, number, numbers, text
from SegAnyPETLib.data.planes import LARGEST_COORDINATE_MM
from SegAnyPETLib.data.polygon_parity import fill_even_odd
from SegAnyPETLib.data.segment import LESION, Algorithm, Segment, Terminology
from SegAnyPETLib.data.segment_meaning import UNSPECIFIED_ANATOMY, decoded_text, label_of, terminology_of
from SegAnyPETLib.errors import DICOMError, GeometryError, InconsistentSeriesError, SegAnyPETWarning
from SegAnyPETLib.geometry import Grid

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
MOST_REGIONS = 4096
MOST_POINTS = 20_000_000
MOST_MASK_BYTES = 64 << 30  # of all masks; memory is taken only where a mask has voxels
PARALLEL_MM = 0.2  # how far the points of one contour may lie from one plane
SAME_PLANE_MM = 0.05
ON_SLICE = 0.1  # of the slice distance: a contour nearer to a slice lies on it
_ROUNDING = 1e-6  # of the slice distance
_FILLED_TYPES = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
# Interpreted types that name anatomy or equipment (PS3.3 C.8.8.8); others are targets, or say nothing.
_NO_LESION = (
    "ORGAN", "EXTERNAL", "AVOIDANCE", "CAVITY", "SUPPORT", "FIXATION", "BOLUS", "OAR", "CONTRAST_AGENT", "MARKER",
)  # fmt: skip


@dataclass
class _Region:
    """One region: its polygons, continuous indices (k, j, i), in the order of the file."""

    number: int
    polygons_kji: list[NDArray[np.float64]] = field(default_factory=list)
    slab_mm: float | None = None
    color_rgb: tuple[float, float, float] = Segment.color_rgb

    @property
    def heights(self) -> NDArray[np.float64]:
        """The slice index of each polygon, continuous."""
        return np.array([polygon[:, 0].mean() for polygon in self.polygons_kji])


def read_rtstruct(path: Path | str, *, grid: Grid, frame_of_reference_uid: str | None = None) -> list[Segment]:
    """Read the regions of an RT Structure Set as masks on `grid`.

    A voxel is inside where its centre is, by the even-odd rule over all contours of a plane: a contour inside another
    is a hole, and keyholes work. Contours must be parallel to the slices of `grid`. Where they lie on its slices they
    fill these; contours between them are given the thickness that the file says, or else their smallest distance, and
    each slice takes the nearest, with a warning.

    Args:
        path: The file.
        grid: Where the masks shall lie, usually that of the PET.
        frame_of_reference_uid: Of the image; regions in another one are refused.

    Returns:
        The regions that have voxels on `grid`, in the file's order, masks (K, J, I).

    Raises:
        DICOMError: The file cannot be read, is no RT Structure Set, or is larger than any sensible one.
        InconsistentSeriesError: The frame of reference is another one.
        GeometryError: Contours are not parallel to the slices, or no region has a voxel on `grid`.

    Warns:
        SegAnyPETWarning: Contours lie between slices or outside the image, or something cannot be filled.

    Source:
        DICOM PS3.3 C.8.8.5, C.8.8.6 (C.8.8.6.3 for holes) and C.8.8.8.
    """
    path = Path(path)
    dataset = read_with_pixels(path)
    if text(dataset, "SOPClassUID") != RT_STRUCTURE_SET:
        msg = f"Expected an RT Structure Set; {path.name} is of modality {text(dataset, 'Modality')}. Choose another."
        raise DICOMError(msg)
    notes: Counter[str] = Counter()
    described = _described(dataset, frame_of_reference_uid, notes, name=path.name)
    if len(described) * int(np.prod(grid.shape_kji)) > MOST_MASK_BYTES:
        msg = f"{path.name} has {len(described)} regions, too many masks of this image. Split it."
        raise DICOMError(msg)
    regions = _regions(dataset, described, grid, notes, name=path.name)
    masks = {region.number: mask for region, mask in zip(regions, _filled(regions, grid, notes), strict=True)}
    colors = {region.number: region.color_rgb for region in regions}
    observed = {
        int(number(item, "ReferencedROINumber") or 0): item for item in items(dataset, "RTROIObservationsSequence")
    }
    result = [
        replace(_segment(item, n, masks[n], observed.get(n)), color_rgb=colors[n])
        for n, item in described.items()
        if n in masks and masks[n].any()
    ]
    notes["region(s) without a voxel in the image left out"] += len(described) - len(result)
    for note, count in notes.items():
        if count:
            warnings.warn(f"{path.name}: {count} {note}.", SegAnyPETWarning, stacklevel=2)
    if not result:
        msg = f"No region of {path.name} has a voxel inside the image. Check that it was drawn on this image."
        raise GeometryError(msg)
    return result


def _described(dataset: Dataset, expected: str | None, notes: Counter[str], *, name: str) -> dict[int, Dataset]:
    """The regions in the image's frame of reference, by number."""
    described: dict[int, Dataset] = {}
    elsewhere: list[str] = []
    for item in items(dataset, "StructureSetROISequence"):
        value = number(item, "ROINumber")
        if value is None or value != int(value) or int(value) in described:
            msg = f"Regions of {name} should have different whole numbers; found {value}. Export it again."
            raise InconsistentSeriesError(msg)
        frame = text(item, "ReferencedFrameOfReferenceUID")
        if None not in (expected, frame) and frame != expected:
            elsewhere.append(str(frame))
        else:
            described[int(value)] = item
    if elsewhere and not described:
        msg = (
            f"Expected regions in the image's frame of reference {expected}; those of {name} are in {elsewhere[0]}. "
            "Register and resample them to the image first."
        )
        raise InconsistentSeriesError(msg)
    if len(described) > MOST_REGIONS:
        msg = f"{name} has {len(described)} regions; at most {MOST_REGIONS} are read. Split it."
        raise DICOMError(msg)
    notes["region(s) in another frame of reference left out"] += len(elsewhere)
    return described


def _regions(
    dataset: Dataset, described: dict[int, Dataset], grid: Grid, notes: Counter[str], *, name: str
) -> list[_Region]:
    regions: dict[int, _Region] = {}
    points = 0
    for item in items(dataset, "ROIContourSequence"):
        owner = int(number(item, "ReferencedROINumber") or 0)
        if owner not in described:
            continue
        region = regions.setdefault(owner, _Region(owner, slab_mm=_said_distance(item)))
        region.color_rgb = _color(item) or region.color_rgb
        for contour in items(item, "ContourSequence"):
            polygon = _polygon(contour, grid, notes, name=f"a contour of region {owner} of {name}")
            if polygon is None:
                continue
            points += len(polygon)
            if points > MOST_POINTS:
                msg = f"{name} has more than {MOST_POINTS} contour points, which no drawn structure set has."
                raise DICOMError(msg)
            region.polygons_kji.append(polygon)
            region.slab_mm = number(contour, "ContourSlabThickness") or region.slab_mm
    return [region for region in regions.values() if region.polygons_kji]


def _said_distance(item: Dataset) -> float | None:
    for planes in items(item, "SourcePixelPlanesCharacteristicsSequence"):
        return number(planes, "SpacingBetweenSlices")
    return None


def _polygon(contour: Dataset, grid: Grid, notes: Counter[str], *, name: str) -> NDArray[np.float64] | None:
    """A closed contour as continuous indices (n, 3) (k, j, i); None where it cannot be filled."""
    kind = text(contour, "ContourGeometricType") or "of no type"
    if kind not in _FILLED_TYPES:
        notes[f"contour(s) that enclose nothing ({kind[:16]}) left out"] += 1
        return None
    values = numbers(contour, "ContourData")
    if len(values) % 3 or any(abs(value) > LARGEST_COORDINATE_MM for value in values):
        msg = f"ContourData (3006,0050) of {name} should be triplets of mm; found {len(values)} numbers. Export again."
        raise DICOMError(msg)
    if len(values) < 9:
        notes["contour(s) of fewer than three points left out"] += 1
        return None
    points = grid.lps_to_kji(np.array(values).reshape(-1, 3))
    uneven_mm = float(np.ptp(points[:, 0])) * grid.spacing_ijk_mm[2]
    if uneven_mm > PARALLEL_MM:
        msg = (
            f"Expected contours parallel to the slices of the image; the points of {name} lie up to {uneven_mm:.2f} mm "
            "off one slice. Use the image that the contours were drawn on, or convert them to a labelmap there."
        )
        raise GeometryError(msg)
    return points


def _filled(regions: list[_Region], grid: Grid, notes: Counter[str]) -> Iterable[NDArray[np.bool_]]:
    everywhere = [region.heights for region in regions]
    least = _least_step(np.concatenate(everywhere), grid) if everywhere else None
    for region, heights in zip(regions, everywhere, strict=True):
        is_on_slices = bool(np.abs(heights - np.round(heights)).max() <= ON_SLICE)
        if is_on_slices:
            heights, thickness = np.round(heights), 1.0
            steps = np.diff(np.unique(heights))
            notes["region(s) drawn on every other slice only; the slices between them are left empty"] += bool(
                steps.size > 2 and steps.min() == steps.max() > 1
            )
        else:
            mm = region.slab_mm if region.slab_mm is not None and region.slab_mm > SAME_PLANE_MM else None
            thickness = mm / grid.spacing_ijk_mm[2] if mm is not None else _least_step(heights, grid) or least or 1.0
            notes["region(s) drawn between the slices; each slice took the nearest contours"] += 1
        beyond = (heights < -0.5) | (heights > grid.shape_kji[0] - 0.5)
        notes["contour(s) above or below the image"] += int(beyond.sum())
        yield _fill_region(region, heights, thickness, grid)


def _least_step(heights: NDArray[np.float64], grid: Grid) -> float | None:
    """The smallest distance between planes, in slices; None where there is one plane."""
    steps = np.diff(np.sort(heights))
    steps = steps[steps > SAME_PLANE_MM / grid.spacing_ijk_mm[2]]
    return float(steps.min()) if steps.size else None


def _fill_region(region: _Region, heights: NDArray[np.float64], thickness: float, grid: Grid) -> NDArray[np.bool_]:
    mask = np.zeros(grid.shape_kji, dtype=bool)
    owners, planes = _planes(heights, tolerance=SAME_PLANE_MM / grid.spacing_ijk_mm[2])
    away = np.arange(grid.shape_kji[0])[:, None] - planes
    # Half-open, so that a slice in the middle between two planes, or at the end, is counted once.
    near = (away >= -thickness / 2 - _ROUNDING) & (away < thickness / 2 - _ROUNDING)
    nearest = np.where(near, np.abs(away), np.inf).argmin(axis=1)
    for plane in np.unique(nearest[near.any(axis=1)]).tolist():
        polygons = [region.polygons_kji[n][:, 1:] for n in np.flatnonzero(owners == plane)]
        mask[near.any(axis=1) & (nearest == plane)] = fill_even_odd(polygons, grid.shape_kji[1:])
    return mask


def _planes(heights: NDArray[np.float64], *, tolerance: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The plane of each contour, and the height of each plane; what lies closer than `tolerance` is one plane."""
    order = np.argsort(heights, kind="stable")
    owners = np.empty(len(heights), dtype=np.int64)
    owners[order] = np.concatenate([[0], np.cumsum(np.diff(heights[order]) > tolerance)])
    return owners, np.bincount(owners, weights=heights) / np.bincount(owners)


def _segment(item: Dataset, region_number: int, mask: NDArray[np.bool_], observed: Dataset | None) -> Segment:
    return Segment(
        label_of(item, "ROIName", otherwise=f"Region {region_number}"),
        mask,
        terminology=_terminology(observed),
        algorithm=_algorithm(item),
    )


def _color(item: Dataset) -> tuple[float, float, float] | None:
    parts = numbers(item, "ROIDisplayColor")
    if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
        return None
    return parts[0] / 255, parts[1] / 255, parts[2] / 255


def _terminology(observed: Dataset | None) -> Terminology:
    if observed is None:
        return LESION
    coded = terminology_of(observed, type_keyword="RTROIIdentificationCodeSequence")
    is_anatomy = text(observed, "RTROIInterpretedType") in _NO_LESION
    return coded or (UNSPECIFIED_ANATOMY if is_anatomy else LESION)


def _algorithm(item: Dataset) -> Algorithm | None:
    kind = text(item, "ROIGenerationAlgorithm")
    name, _, version = decoded_text(item, "ROIGenerationDescription").strip().rpartition(" ")
    if kind not in ("AUTOMATIC", "SEMIAUTOMATIC") or not version:
        return None
    return Algorithm(name or version, version if name else "unknown", kind == "AUTOMATIC")
