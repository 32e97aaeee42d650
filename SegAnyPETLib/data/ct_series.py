"""One CT series in Hounsfield units with its exact geometry; planes are read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from SegAnyPETLib.data.dicom_files import read_header, read_with_pixels
from SegAnyPETLib.data.dicom_values import needed_number, number, text
from SegAnyPETLib.data.pixels import PIXEL_KEYWORDS, rescaled, stored_planes
from SegAnyPETLib.data.planes import plane_of
from SegAnyPETLib.data.slice_stack import stack_planes
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError
from SegAnyPETLib.geometry import Grid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
AIR_HU = -1024.0  # scanners pad the corners of a slice with less; there is nothing below


@dataclass(frozen=True)
class CTSeries:
    """One CT series whose headers are read and checked; its voxels are still on disk.

    Attributes:
        grid: Where the voxels lie; right-handed, k along the cross product of row and column direction.
        source_files: The file of slice k.
        slopes: Rescale Slope (0028,1053) of slice k.
        intercepts: Rescale Intercept (0028,1052) of slice k, in HU.
        series_instance_uid: Series Instance UID (0020,000E).
    """

    grid: Grid
    source_files: tuple[Path, ...] = field(repr=False)
    slopes: tuple[float, ...] = field(repr=False)
    intercepts: tuple[float, ...] = field(repr=False)
    series_instance_uid: str

    def read_planes(self, start: int, stop: int) -> NDArray[np.float32]:
        """Slices `start` to `stop` (excluded) as a new float32 array (K, J, I) in HU, at least `AIR_HU`.

        Raises:
            DICOMError: A file is damaged, gone, or cannot be decoded.
        """
        planes = np.empty((stop - start, *self.grid.shape_kji[1:]), dtype=np.float32)
        for n, k in enumerate(range(start, stop)):
            path = self.source_files[k]
            stored = stored_planes(read_with_pixels(path, only=PIXEL_KEYWORDS), frames=1, name=path.name)[0]
            planes[n] = rescaled(stored, slope=self.slopes[k], intercept=self.intercepts[k], name=path.name)
        return np.maximum(planes, np.float32(AIR_HU), out=planes)


def open_ct_series(files: Iterable[Path], *, series_instance_uid: str) -> CTSeries:
    """Read and check the headers of a CT series of single slices.

    Args:
        files: All files of the series.
        series_instance_uid: Which series it must be.

    Raises:
        DICOMError: A file is damaged, is no CT image of this series, or is not in Hounsfield units.
        MissingTagError: A tag that the geometry or the values need is absent.
        InconsistentSeriesError: Slices are missing, doubled or of different geometry.
    """
    found = [(path, read_header(path)) for path in files]
    for path, dataset in found:
        _check_ct_slice(dataset, path=path, series_instance_uid=series_instance_uid)
    order, grid = stack_planes([plane_of(dataset, name=path.name) for path, dataset in found])
    needed_for, advice = "the Hounsfield units of a CT slice", "Export the series again."
    slopes, intercepts = (
        tuple(needed_number(found[n][1], keyword, needed_for=needed_for, advice=advice) for n in order)
        for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    paths = tuple(found[n][0] for n in order)
    return CTSeries(grid, paths, slopes, intercepts, series_instance_uid)


def _check_ct_slice(dataset: FileDataset, *, path: Path, series_instance_uid: str) -> None:
    if text(dataset, "SOPClassUID") != CT_IMAGE or (number(dataset, "NumberOfFrames") or 1) != 1:
        msg = f"Expected a CT image of one slice; {path} is something else. Export the CT as single slices."
        raise DICOMError(msg)
    if text(dataset, "SeriesInstanceUID") != series_instance_uid:
        msg = f"Expected a slice of the CT series {series_instance_uid}; {path} is of another. Give its files only."
        raise InconsistentSeriesError(msg)
    units = text(dataset, "RescaleType")
    if units not in (None, "HU"):
        msg = f"Expected a CT in Hounsfield units; RescaleType (0028,1054) of {path} is {units}. Use the original CT."
        raise DICOMError(msg)
