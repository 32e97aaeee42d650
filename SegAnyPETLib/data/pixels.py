"""Stored pixel values out of a DICOM file whose header may lie about their number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.config import IGNORE
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from SegAnyPETLib.data.dicom_values import faults_named, number, tag_text, text
from SegAnyPETLib.errors import DICOMError, MissingTagError

LARGEST_PLANE = 4096 * 4096  # pixels; the largest PET planes have 1024 x 1024
PIXEL_KEYWORDS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
)  # what decoding needs
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE_SYNTAXES = (IMPLICIT_LITTLE_ENDIAN, "1.2.840.10008.1.2.1", EXPLICIT_BIG_ENDIAN)


def plane_shape_ji(dataset: Dataset, *, name: str) -> tuple[int, int]:
    """Rows and columns of an image.

    Raises:
        MissingTagError: One is absent.
        DICOMError: One is no sensible size, or the pixels are not single numbers.
    """
    rows, columns = (_needed_count(dataset, keyword, name=name) for keyword in ("Rows", "Columns"))
    if rows * columns > LARGEST_PLANE or min(rows, columns) < 1:
        msg = f"{name} claims {rows} rows and {columns} columns; a PET plane has 1 to {LARGEST_PLANE} pixels."
        raise DICOMError(msg)
    if (number(dataset, "SamplesPerPixel") or 1) != 1:
        msg = f"{name} has several samples per pixel (colour); PET has one. Use the original PET images."
        raise DICOMError(msg)
    return rows, columns


def stored_planes(dataset: FileDataset, *, frames: int, name: str) -> NDArray[Any]:
    """Stored values of an image read with its pixels, before any rescaling.

    Args:
        dataset: The file.
        frames: How many planes it should hold; 1 for a single-frame image.
        name: What to call it in a message.

    Returns:
        Integer array (frames, rows, columns).

    Raises:
        DICOMError: There are fewer pixels than the header claims, or their encoding cannot be decoded here.
    """
    rows, columns = plane_shape_ji(dataset, name=name)
    allocated, stored, signed = _pixel_format(dataset, name=name)
    if "PixelData" not in dataset:
        msg = f"{name} has no Pixel Data (7FE0,0010). Copy the file again; it may be truncated."
        raise DICOMError(msg)
    syntax = text(dataset.file_meta, "TransferSyntaxUID") or IMPLICIT_LITTLE_ENDIAN
    if syntax in NATIVE_SYNTAXES:
        planes = _native(
            dataset, (frames, rows, columns), bits=allocated, little=syntax != EXPLICIT_BIG_ENDIAN, name=name
        )
    else:
        planes = _decoded(dataset, (frames, rows, columns), syntax=syntax, name=name)
    return _of_stored_bits(planes, allocated=allocated, stored=stored, signed=signed)


def rescaled(stored: NDArray[Any], *, slope: float, intercept: float, name: str) -> NDArray[np.float32]:
    """Slope times stored value plus intercept, in single precision.

    The slope is rounded to float32 before it multiplies, as exporters to NIfTI do: volumes read from DICOM and from
    such a NIfTI are then equal to the last bit. The error is below 2e-7 of the value.

    Raises:
        DICOMError: The slope is not positive (an empty slice may carry 0), or a value does not fit.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        single = np.float32(slope)
        values = stored.astype(np.float32) * single
        values = values + np.float32(intercept) if intercept else values
    if (single <= 0 and stored.any()) or not np.isfinite(values).all():
        msg = (
            f"RescaleSlope (0028,1053) of {name} should be positive and RescaleIntercept (0028,1052) 0; found "
            f"{slope:g} and {intercept:g}. Export the series again."
        )
        raise DICOMError(msg)
    return values


def _native(dataset: FileDataset, shape: tuple[int, int, int], *, bits: int, little: bool, name: str) -> NDArray[Any]:
    element = dataset.get_item("PixelData", keep_deferred=True)
    data = getattr(element, "value", None)
    expected = shape[0] * shape[1] * shape[2] * bits // 8
    if not isinstance(data, bytes) or len(data) < expected:
        found = len(data) if isinstance(data, bytes) else 0
        msg = (
            f"{name} is truncated: {shape[0]} frame(s) of {shape[1]} x {shape[2]} pixels need {expected} bytes of "
            f"Pixel Data (7FE0,0010), found {found}. Copy the file again."
        )
        raise DICOMError(msg)
    flat = np.frombuffer(data, dtype=f"{'<' if little else '>'}u{bits // 8}", count=expected * 8 // bits)
    return flat.reshape(shape)


def _decoded(dataset: FileDataset, shape: tuple[int, int, int], *, syntax: str, name: str) -> NDArray[Any]:
    label = UID(syntax, validation_mode=IGNORE).name
    advice = "(or convert the files to Explicit VR Little Endian first, for example with gdcmconv --raw)"
    with faults_named(f"{name} with transfer syntax {label} cannot be decoded {advice}"):
        planes = np.asarray(pixel_array(dataset, raw=True))
    if planes.size != np.prod(shape):
        msg = f"{name} should decode to {shape} pixels; found {planes.shape}. Copy the file again."
        raise DICOMError(msg)
    return planes.reshape(shape).view(f"u{planes.dtype.itemsize}")


def _pixel_format(dataset: Dataset, *, name: str) -> tuple[int, int, bool]:
    allocated, stored = (_needed_count(dataset, keyword, name=name) for keyword in ("BitsAllocated", "BitsStored"))
    high = number(dataset, "HighBit")
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or high not in (None, stored - 1):
        msg = (
            f"{name} has {allocated} bits allocated, {stored} stored, high bit {high}; expected 8, 16 or 32 allocated "
            "and the high bit one below the bits stored. Export the series again."
        )
        raise DICOMError(msg)
    return allocated, stored, bool(number(dataset, "PixelRepresentation") or 0)


def _of_stored_bits(planes: NDArray[Any], *, allocated: int, stored: int, signed: bool) -> NDArray[Any]:
    native = planes.astype(f"u{planes.dtype.itemsize}", copy=False)
    unused = planes.dtype.itemsize * 8 - stored
    if unused and stored < allocated:
        native = native << unused  # drops what old writers hid above the stored bits; the shift back extends the sign
    values = native.view(f"i{native.dtype.itemsize}") if signed else native
    return values >> unused if unused and stored < allocated else values


def _needed_count(dataset: Dataset, keyword: str, *, name: str) -> int:
    value = number(dataset, keyword)
    if value is None:
        raise MissingTagError(
            keyword, tag_text(keyword), needed_for=f"the pixels of {name}", advice="Export the series again as images."
        )
    if value != int(value) or value < 0:
        msg = f"{keyword} {tag_text(keyword)} of {name} should be a whole number; found {text(dataset, keyword)!r}."
        raise DICOMError(msg)
    return int(value)
