"""What a phantom is: exact activity on a grid, and objects of known shape and uptake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import Grid

ObjectKind = Literal["lesion", "organ"]
Orientation = Literal["axial", "coronal", "sagittal", "oblique"]

# Columns: LPS direction of the array axes i, j, k. The oblique one is axial, turned by 12, -9 and 17 degrees.
_DIRECTIONS: dict[Orientation, tuple[tuple[float, float, float], ...]] = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "sagittal": ((0, 0, -1), (1, 0, 0), (0, -1, 0)),
}


@dataclass(frozen=True)
class PhantomObject:
    """One object of a phantom, with its truth.

    Attributes:
        name: Unique in its phantom, for example ``sphere 17 mm`` or ``liver``.
        kind: A lesion to be segmented, or an organ with physiological uptake.
        mask: Bool (K, J, I): at least half of the voxel belongs to the object; derived from the shape, never from the
            blurred activity. A necrotic core counts as lesion.
        centre_lps_mm: Centre of the defining shape; inside the object except for shells.
        true_suv: SUVbw before blurring; of the viable rim where the object has a core.
        true_volume_ml: Volume of the shape within the grid: closed form for the whole spheres of the NEMA phantom, else
            supersampled.
    """

    name: str
    kind: ObjectKind
    mask: NDArray[np.bool_]
    centre_lps_mm: tuple[float, float, float]
    true_suv: float
    true_volume_ml: float


@dataclass(frozen=True)
class Phantom:
    """A study whose truth is known.

    Attributes:
        activity_suv: Float32 (K, J, I), SUVbw in g/ml, blurred by the scanner's point spread; read-only.
        grid: Where its voxels lie.
        objects: Lesions and organs.
        fwhm_mm: Full width at half maximum of the Gaussian point spread.
    """

    activity_suv: NDArray[np.float32]
    grid: Grid
    objects: tuple[PhantomObject, ...]
    fwhm_mm: float

    def __post_init__(self) -> None:
        for name, array in [("activity", self.activity_suv), *((o.name, o.mask) for o in self.objects)]:
            if array.shape != self.grid.shape_kji:
                msg = f"Expected {name} on the phantom's grid {self.grid.shape_kji}; found shape {array.shape}."
                raise GeometryError(msg)
            array.setflags(write=False)

    @property
    def lesions(self) -> tuple[PhantomObject, ...]:
        """The objects to be segmented."""
        return tuple(item for item in self.objects if item.kind == "lesion")

    def object(self, name: str) -> PhantomObject:
        """The object called `name`.

        Raises:
            KeyError: There is none; the message lists the names.
        """
        for item in self.objects:
            if item.name == name:
                return item
        msg = f"No object {name!r}; this phantom has {[item.name for item in self.objects]}."
        raise KeyError(msg)


def centred_grid(
    shape_kji: tuple[int, int, int],
    spacing_ijk_mm: tuple[float, float, float],
    *,
    centre_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    orientation: Orientation = "axial",
) -> Grid:
    """A grid around `centre_lps_mm`, its slices axial, coronal, sagittal, or oblique (turned about all three axes).

    All four are right-handed, as DICOM writes them: slices advance along the cross product of row and column.
    """
    direction = np.asarray(_DIRECTIONS.get(orientation, _oblique_direction()), dtype=np.float64)
    half = (np.asarray(shape_kji[::-1]) - 1) / 2 * np.asarray(spacing_ijk_mm)
    x, y, z = (float(v) for v in np.asarray(centre_lps_mm) - direction @ half)
    rows = tuple((float(a), float(b), float(c)) for a, b, c in direction)
    return Grid(shape_kji, spacing_ijk_mm, (x, y, z), rows)


def _oblique_direction() -> NDArray[np.float64]:
    a, b, c = np.deg2rad([12.0, -9.0, 17.0])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)
