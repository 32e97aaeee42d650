"""Read a scalar 3D volume or mask from NIfTI, NRRD or MetaImage."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from SegAnyPETLib.data.nifti_file import LARGEST_RATIO, MAX_VOXELS, read_nifti
from SegAnyPETLib.errors import GeometryError, InputError, SegAnyPETWarning
from SegAnyPETLib.geometry import Grid

if TYPE_CHECKING:
    from collections.abc import Mapping

NonFinite = Literal["refuse", "zero"]
_LONGEST_TEXT_HEADER = 1 << 20
_NRRD_SPACES = ("left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las")


@dataclass(frozen=True)
class VolumeFile:
    """A volume with what its file says about it.

    Attributes:
        array: float32 (K, J, I).
        grid: Where the voxels lie.
        fields: Text fields of the header, keys in lower case.
    """

    array: NDArray[np.float32] = field(repr=False)
    grid: Grid
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_volume_file(path: Path | str, *, non_finite: NonFinite = "refuse") -> tuple[NDArray[np.float32], Grid]:
    """Read a scalar 3D image or mask.

    Negative values are kept. NaN and infinite values are refused unless the caller says otherwise: they have no
    place in a measure, and zero would be an invention.

    Args:
        path: ``.nii``, ``.nii.gz``, ``.nrrd`` (``.seg.nrrd`` with one layer too) or ``.mha``.
        non_finite: ``zero`` sets NaN and infinite values to 0, with a warning.

    Returns:
        Voxels float32 (K, J, I) and their grid. Axes and handedness are those of the file.

    Raises:
        InputError: There is no such file; it is damaged, of another format, colour or complex; or holds NaN.
        GeometryError: It is not 3D, its axes are sheared, or its header contradicts itself about where it lies.

    Warns:
        SegAnyPETWarning: The file does not say where it lies in the patient; NaN were set to 0.
    """
    volume = read_volume_with_fields(path, non_finite=non_finite)
    return volume.array, volume.grid


def read_volume_with_fields(path: Path | str, *, non_finite: NonFinite = "refuse") -> VolumeFile:
    """The same as `read_volume_file`, with the text fields of the header."""
    path = Path(path)
    if non_finite not in ("refuse", "zero"):
        msg = f"non_finite should be 'refuse' or 'zero'; found {non_finite!r}."
        raise InputError(msg)
    if not path.is_file():
        msg = f"Expected an image file; found none at {path}. Check the path."
        raise InputError(msg)
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        array, grid, header = read_nifti(path)
        fields = {"descrip": header.description, "intent_name": header.intent_name}
    elif name.endswith((".nrrd", ".mha")):
        fields = nrrd_fields(path) if name.endswith(".nrrd") else {}
        array, grid = _read_with_itk(path, fields)
    else:
        msg = f"Expected .nii, .nii.gz, .nrrd or .mha; found {path.name}. Convert it, or give a DICOM folder."
        raise InputError(msg)
    return VolumeFile(_finite(array, path, non_finite), grid, fields)


def _finite(array: NDArray[np.float32], path: Path, non_finite: NonFinite) -> NDArray[np.float32]:
    bad = ~np.isfinite(array)
    count = int(bad.sum())
    if not count:
        return array
    if non_finite == "refuse":
        first = tuple(int(n) for n in np.argwhere(bad)[0])
        msg = (
            f"{path} has {count} NaN or infinite voxel(s) of {array.size}, the first at (k, j, i) = {first}. "
            "Repair it, or read it with non_finite='zero' if they are background."
        )
        raise InputError(msg)
    warnings.warn(f"{path.name}: {count} NaN or infinite voxel(s) set to 0.", SegAnyPETWarning, stacklevel=4)
    return np.where(bad, np.float32(0), array)


def _read_with_itk(path: Path, fields: dict[str, str]) -> tuple[NDArray[np.float32], Grid]:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_information(reader, path)
        reader.SetOutputPixelType(SimpleITK.sitkFloat32)
        image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        msg = f"{path} cannot be read as {path.suffix[1:].upper()}: {reason}. Copy or export it again."
        raise InputError(msg) from error
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    if path.suffix.lower() == ".nrrd" and "space directions" not in fields:
        warnings.warn(
            f"{path.name} has no space directions: where it lies in the patient, and which side is left, is unknown.",
            SegAnyPETWarning,
            stacklevel=5,
        )
    direction = np.array(image.GetDirection()).reshape(3, 3)
    array = SimpleITK.GetArrayFromImage(image)
    spacing, origin = image.GetSpacing(), image.GetOrigin()
    return array, Grid(array.shape, spacing, origin, tuple(tuple(row) for row in direction.tolist()))


def _check_information(reader: SimpleITK.ImageFileReader, path: Path) -> None:
    size = tuple(int(n) for n in reader.GetSize())
    pixel = SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
    if len(size) not in (3, 4) or min(size[:3]) < 2 or any(n != 1 for n in size[3:]):
        msg = (
            f"Expected a 3D image with at least two voxels along each axis; {path} has sizes {list(size)}. "
            "Extract one 3D volume (a single time point, a single layer) first."
        )
        raise GeometryError(msg)
    if reader.GetNumberOfComponents() != 1 or "complex" in pixel or "vector" in pixel:
        msg = (
            f"Expected one real number per voxel; {path} has {reader.GetNumberOfComponents()} ({pixel}). "
            "Extract one component, or one layer of the segmentation, first."
        )
        raise InputError(msg)
    voxels = int(np.prod([float(n) for n in size]))
    if voxels > MAX_VOXELS or voxels > LARGEST_RATIO * path.stat().st_size:
        msg = f"{path} claims {list(size)} voxels in {path.stat().st_size} bytes. The file is damaged."
        raise InputError(msg)


def nrrd_fields(path: Path) -> dict[str, str]:
    """The text header of an NRRD file with attached data: fields and keys in lower case, at most 1 MB of it.

    Raises:
        InputError: It is no NRRD file, or keeps its voxels in another file.
        GeometryError: It is not in an anatomical space.
    """
    with path.open("rb") as file:
        raw = file.read(_LONGEST_TEXT_HEADER)
    if not raw.startswith(b"NRRD"):
        msg = f"{path} is no NRRD file: it does not start with NRRD. Check the file."
        raise InputError(msg)
    head = raw.replace(b"\r\n", b"\n").split(b"\n\n")[0].decode("utf-8", "replace")
    fields: dict[str, str] = {}
    for line in head.split("\n")[1:]:
        key, _, value = line.partition(":")
        if not line.startswith("#") and value:
            fields[key.strip().lower()] = value.lstrip("=").strip()
    if "data file" in fields or "datafile" in fields:
        msg = f"{path} keeps its voxels in another file ({fields.get('data file', '')}). Save it with attached data."
        raise InputError(msg)
    space = fields.get("space")
    if space is not None and space.lower() not in _NRRD_SPACES:
        msg = (
            f"Expected an anatomical space, for example left-posterior-superior; {path} is in {space}. Export it again."
        )
        raise GeometryError(msg)
    return fields
