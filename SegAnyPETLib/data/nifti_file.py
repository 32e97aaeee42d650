"""Read a NIfTI-1 or NIfTI-2 file: header, checks, voxels.

Read here rather than by ITK, which silently takes the qform where the sform is not to its taste, and allocates what
the header claims.
"""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import GeometryError, InputError, SegAnyPETWarning
from SegAnyPETLib.geometry import LPS_FROM_RAS, Grid

FORM_TOLERANCE_MM = 0.1  # between the corners as placed by sform and by qform
MAX_VOXELS = 2**30  # 1024 x 1024 x 1024
LARGEST_RATIO = 1040  # deflate cannot compress better than 1032 to 1
_MILLIMETRES = (0, 2)  # unknown is taken as mm, as everybody writes it
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_OTHER_TYPES = {32: "complex", 128: "RGB colour", 1792: "complex", 2304: "RGBA colour", 1: "binary", 1536: "float128"}


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI header that matter here; see the NIfTI-1 standard for their meaning."""

    byte_order: str
    dims: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    data_offset: int
    scale_slope: float
    scale_intercept: float
    units: int
    description: str
    intent_name: str
    qform_code: int
    sform_code: int
    quaternion: tuple[float, float, float]
    q_offset: tuple[float, float, float]
    s_rows: NDArray[np.float64]


def read_nifti(path: Path) -> tuple[NDArray[np.float32], Grid, NiftiHeader]:
    """Read a scalar 3D NIfTI file.

    Args:
        path: ``.nii`` or ``.nii.gz``.

    Returns:
        Voxels (K, J, I) with the file's scaling applied, grid, header.

    Raises:
        InputError: The file is damaged, not NIfTI, or not of real numbers.
        GeometryError: It is not 3D, its axes are sheared, its units are not mm, or sform and qform disagree.

    Warns:
        SegAnyPETWarning: It has neither sform nor qform, so where the image lies in the patient is unknown.
    """
    try:
        opened = gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # noqa: SIM115
        with opened as file:
            header = _parsed(file.read(540), path)
            shape_kji = _shape_kji(header, path)
            grid = _grid(header, shape_kji, path)
            dtype = _dtype(header, path)
            expected = int(np.prod(shape_kji)) * dtype.itemsize
            if int(np.prod(shape_kji)) > MAX_VOXELS or expected > LARGEST_RATIO * path.stat().st_size:
                msg = f"{path} claims {shape_kji} voxels in {path.stat().st_size} bytes. The file is damaged."
                raise InputError(msg)
            file.seek(header.data_offset)
            data = file.read(expected)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        msg = f"{path} cannot be read as NIfTI: {error}. Copy or export it again."
        raise InputError(msg) from error
    if len(data) < expected:
        msg = f"{path} is truncated: {shape_kji} voxels need {expected} bytes, found {len(data)}. Copy it again."
        raise InputError(msg)
    return _scaled(np.frombuffer(data, dtype).reshape(shape_kji), header), grid, header


def _parsed(raw: bytes, path: Path) -> NiftiHeader:
    for order in "<>":
        if len(raw) >= 348 and struct.unpack_from(f"{order}i", raw)[0] == 348 and raw[344:347] == b"n+1":
            return _parsed_version_1(raw, order)
        if len(raw) >= 540 and struct.unpack_from(f"{order}i", raw)[0] == 540 and raw[4:7] == b"n+2":
            return _parsed_version_2(raw, order)
    if raw[344:347] == b"ni1":
        msg = f"{path} is the header of a NIfTI pair (.hdr/.img). Save it as one .nii file."
        raise InputError(msg)
    msg = f"{path} is no NIfTI file: neither n+1 nor n+2 is at its place. Check the file."
    raise InputError(msg)


def _parsed_version_1(raw: bytes, order: str) -> NiftiHeader:
    def get(form: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + form, raw, offset)

    slope, intercept = get("2f", 112)
    return NiftiHeader(
        byte_order=order,
        dims=tuple(int(n) for n in get("8h", 40)),
        datatype=int(get("h", 70)[0]),
        pixdim=get("8f", 76),
        data_offset=_offset(get("f", 108)[0]),
        scale_slope=slope,
        scale_intercept=intercept,
        units=raw[123],
        description=_text(raw[148:228]),
        intent_name=_text(raw[328:344]),
        qform_code=int(get("h", 252)[0]),
        sform_code=int(get("h", 254)[0]),
        quaternion=_three(get("3f", 256)),
        q_offset=_three(get("3f", 268)),
        s_rows=np.array(get("12f", 280)).reshape(3, 4),
    )


def _parsed_version_2(raw: bytes, order: str) -> NiftiHeader:
    def get(form: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + form, raw, offset)

    slope, intercept = get("2d", 176)
    return NiftiHeader(
        byte_order=order,
        dims=tuple(int(n) for n in get("8q", 16)),
        datatype=int(get("h", 12)[0]),
        pixdim=get("8d", 104),
        data_offset=_offset(get("q", 168)[0]),
        scale_slope=slope,
        scale_intercept=intercept,
        units=int(get("i", 500)[0]),
        description=_text(raw[240:320]),
        intent_name=_text(raw[508:524]),
        qform_code=int(get("i", 344)[0]),
        sform_code=int(get("i", 348)[0]),
        quaternion=_three(get("3d", 352)),
        q_offset=_three(get("3d", 376)),
        s_rows=np.array(get("12d", 400)).reshape(3, 4),
    )


def _shape_kji(header: NiftiHeader, path: Path) -> tuple[int, int, int]:
    count = header.dims[0]
    sizes = header.dims[1 : count + 1] if 1 <= count <= 7 else ()
    if not 3 <= count <= 7 or any(n < 1 for n in sizes) or min(sizes[:3]) < 2 or any(n != 1 for n in sizes[3:]):
        msg = (
            f"Expected a 3D image with at least two voxels along each axis; {path} has sizes {list(sizes)}. "
            "Extract one 3D volume (a single time point, a single channel) first."
        )
        raise GeometryError(msg)
    return int(sizes[2]), int(sizes[1]), int(sizes[0])


def _dtype(header: NiftiHeader, path: Path) -> np.dtype[np.generic]:
    name = _TYPES.get(header.datatype)
    if name is None:
        found = _OTHER_TYPES.get(header.datatype, f"type {header.datatype}")
        msg = f"Expected one real number per voxel; {path} has {found}. Convert it to a scalar image."
        raise InputError(msg)
    return np.dtype(header.byte_order + name)


def _grid(header: NiftiHeader, shape_kji: tuple[int, int, int], path: Path) -> Grid:
    if header.units & 7 not in _MILLIMETRES:
        msg = f"Expected a NIfTI file in mm; the units code of {path} is {header.units & 7}. Convert it to mm."
        raise GeometryError(msg)
    by_s = np.vstack([header.s_rows, [0, 0, 0, 1]]) if header.sform_code > 0 else None
    by_q = _q_matrix(header) if header.qform_code > 0 else None
    if by_s is None and by_q is None:
        warnings.warn(
            f"{path.name} has neither sform nor qform: where it lies in the patient and which side is left is unknown.",
            SegAnyPETWarning,
            stacklevel=4,
        )
        by_s = np.diag([*header.pixdim[1:4], 1.0])
    grids = [
        Grid.from_ijk_to_lps(LPS_FROM_RAS @ matrix, shape_kji=shape_kji)
        for matrix in (by_s, by_q)
        if matrix is not None
    ]
    if not grids[0].is_close(grids[-1], tolerance_mm=FORM_TOLERANCE_MM):
        corner = np.subtract(shape_kji, 1)
        apart = max(np.abs(grids[0].kji_to_lps(c) - grids[1].kji_to_lps(c)).max() for c in (np.zeros(3), corner))
        msg = (
            f"sform and qform of {path} place the image differently (corners up to {apart:.2f} mm apart). "
            "Find out which is right and set the code of the other to 0."
        )
        raise GeometryError(msg)
    return grids[0]


def _q_matrix(header: NiftiHeader) -> NDArray[np.float64]:
    b, c, d = header.quaternion
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    k_sign = -1.0 if header.pixdim[0] < 0 else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(header.pixdim[1:4]) * [1.0, 1.0, k_sign]
    matrix[:3, 3] = header.q_offset
    return matrix


def _scaled(stored: NDArray[np.generic], header: NiftiHeader) -> NDArray[np.float32]:
    slope, intercept = header.scale_slope, header.scale_intercept
    if not np.isfinite(slope) or slope == 0 or (slope, intercept) == (1.0, 0.0):
        with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused by the caller
            return stored.astype(np.float32)
    shift = intercept if np.isfinite(intercept) else 0.0
    with np.errstate(over="ignore"):
        return np.asarray(stored.astype(np.float64) * slope + shift, dtype=np.float32)


def _offset(value: float) -> int:
    return int(value) if 0 <= value < 2**40 else 0


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace").strip()
