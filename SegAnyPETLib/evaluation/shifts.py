"""Another scanner: the image as the method sees it, while the reference and all figures stay as they are.

blur:MM     smoothed by a Gaussian of this FWHM in mm
noise:SD    correlated noise; SD is its standard deviation over the uptake at SUV 2.2 (liver), and grows with the square
            root of the uptake; grain of 6 mm; negative values become 0
voxel:MM    sampled linearly on cubic voxels of this edge; the mask comes back voxel by voxel, each from the seen voxel
            its centre lies in, so that a click is obeyed on both grids or on neither
suv:FACTOR  multiplied, as by a wrong weight, dose or calibration
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom.noise import FWHM_PER_SIGMA, Noise
from SegAnyPETLib.preprocess.resample import resample_linear
from SegAnyPETLib.suv import SUVVolume

ShiftKind = Literal["blur", "noise", "voxel", "suv"]
NOISE_GRAIN_MM = 6.0


@dataclass(frozen=True)
class Shift:
    """One difference of another scanner.

    Attributes:
        kind: See this module.
        amount: FWHM in mm, relative standard deviation, edge in mm, or factor; positive.

    Raises:
        InputError: The kind is unknown, or the amount is not positive and finite.
    """

    kind: ShiftKind
    amount: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(ShiftKind) or not 0 < self.amount < float("inf"):
            kinds = ", ".join(get_args(ShiftKind))
            msg = f"Expected a shift of one of the kinds {kinds} by a positive amount; found {self.kind}:{self.amount}."
            raise InputError(msg)

    def __str__(self) -> str:
        return f"{self.kind}:{self.amount:g}"

    @classmethod
    def parse(cls, text: str) -> Shift:
        """Read KIND:AMOUNT, for example blur:5.

        Raises:
            InputError: It is not of that form.
        """
        kind, _, amount = text.partition(":")
        try:
            number = float(amount)
        except ValueError as error:
            msg = f"Expected a shift as KIND:AMOUNT, for example blur:5; found {text!r}."
            raise InputError(msg) from error
        known = {name: name for name in get_args(ShiftKind)}
        return cls(known.get(kind, kind), number)


@dataclass(frozen=True)
class SeenImage:
    """The image a method is given, and the way between its voxels and those of the case.

    Attributes:
        image: What the method sees.
        index_kji: Per axis, for every voxel of the case the index of the seen voxel its centre lies in; None where the
            grids are the same.
    """

    image: SUVVolume
    index_kji: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]] | None = None

    def seen_voxel(self, kji: tuple[int, int, int]) -> tuple[int, int, int]:
        """The seen voxel that holds the centre of a voxel of the case."""
        if self.index_kji is None:
            return kji
        k, j, i = (int(index[at]) for index, at in zip(self.index_kji, kji, strict=True))
        return k, j, i

    def on_case(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask of the seen image (K, J, I) on the grid of the case."""
        return mask if self.index_kji is None else mask[np.ix_(*self.index_kji)]


def see(image: SUVVolume, shift: Shift | None, *, name: str, seed: int) -> SeenImage:
    """The image as another scanner would show it; noise depends on the seed and the case's name alone.

    Args:
        image: The case's image; not changed.
        shift: None shows it as it is.
        name: Of the case.
        seed: For noise.
    """
    if shift is None:
        return SeenImage(image)
    if shift.kind == "voxel":
        return _on_cubic_voxels(image, shift.amount)
    if shift.kind == "blur":
        sigma = shift.amount / FWHM_PER_SIGMA / np.asarray(image.grid.spacing_kji_mm)
        values = ndimage.gaussian_filter(image.array, sigma, mode="nearest")
    elif shift.kind == "noise":
        drawn = int(np.random.SeedSequence([seed, zlib.crc32(name.encode()), 2]).generate_state(1)[0])
        noise = Noise(drawn, relative_sd=shift.amount, correlation_fwhm_mm=NOISE_GRAIN_MM)
        values = noise.added_to(np.maximum(image.array, 0.0), grid=image.grid)
    else:
        values = image.array * np.float32(shift.amount)
    return SeenImage(replace(image, array=values))


def _on_cubic_voxels(image: SUVVolume, edge_mm: float) -> SeenImage:
    """Sample on cubes around the same middle, as many as cover the image; beyond it the border value goes on."""
    old = image.grid
    extent_mm = np.multiply(old.shape_kji, old.spacing_kji_mm)
    shape = np.maximum(1, np.ceil(extent_mm / edge_mm - 1e-6).astype(int))
    middle = old.kji_to_lps((np.asarray(old.shape_kji) - 1) / 2)
    to_first = (np.asarray(old.direction) * edge_mm) @ ((shape[::-1] - 1) / 2)
    new = Grid(tuple(shape), (edge_mm, edge_mm, edge_mm), tuple(middle - to_first), old.direction)
    margin = int(np.ceil(edge_mm / min(old.spacing_kji_mm))) + 1
    padded = np.pad(image.array, margin, mode="edge")
    values = resample_linear(padded, old.crop(old.box.expanded(margin)), new, outside=0.0)
    k, j, i = (
        np.clip(((np.arange(n) - (n - 1) / 2) * s / edge_mm + m / 2).astype(np.intp), 0, m - 1)
        for n, s, m in zip(old.shape_kji, old.spacing_kji_mm, shape, strict=True)
    )
    return SeenImage(replace(image, array=values, grid=new), (k, j, i))
