"""Training crops from real cases in the layout of `evaluate`: CASE/pet.nii.gz and CASE/gtv.nii.gz.

Each crop is drawn with a random orientation, size and placement. The faces of the image are cut at random
first, because a data set that was cropped around its lesions gives them away by where the image ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from SegAnyPETLib.data.case_folder import IMAGE_NAME, REFERENCE_NAME, case_number
from SegAnyPETLib.data.volume_file import read_volume_file
from SegAnyPETLib.errors import GeometryError, SegAnyPETError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.pretrain.scene import Scene
from SegAnyPETLib.pretrain.synthetic import FWHM_PER_SIGMA, add_noise

MAX_CUT_MM = 45.0
TILT_DEGREES = 15.0


@dataclass(frozen=True)
class RealCase:
    """One case: SUV (K, J, I) float32, reference mask (K, J, I) bool, spacing along k, j, i in mm."""

    name: str
    suv: NDArray[np.float32]
    mask: NDArray[np.bool_]
    spacing_kji_mm: tuple[float, float, float]


def read_real_cases(folder: Path, *, exclude_fold: tuple[int, int] | None = None) -> list[RealCase]:
    """Read the cases of `folder`, sorted by name.

    Args:
        folder: Holds one folder per case.
        exclude_fold: (k, n) leaves out the cases whose number (see `case_number`) is k modulo n.

    Raises:
        GeometryError: A mask lies on another grid than its image.
        SegAnyPETError: The folder holds no case.
    """
    paths = sorted(p for p in folder.iterdir() if (p / IMAGE_NAME).is_file() and (p / REFERENCE_NAME).is_file())
    if exclude_fold is not None:
        fold, folds = exclude_fold
        paths = [p for p in paths if case_number(p.name) % folds != fold]
    if not paths:
        msg = f"Expected folders with {IMAGE_NAME} and {REFERENCE_NAME} under {folder}; found none."
        raise SegAnyPETError(msg)
    cases = []
    for path in paths:
        suv, grid = read_volume_file(path / IMAGE_NAME)
        mask, mask_grid = read_volume_file(path / REFERENCE_NAME)
        if not mask_grid.is_close(grid, tolerance_mm=0.01):
            msg = f"Expected {REFERENCE_NAME} of case {path.name} on the grid of {IMAGE_NAME}; found another."
            raise GeometryError(msg)
        cases.append(RealCase(path.name, np.maximum(suv, 0), mask > 0.5, grid.spacing_kji_mm))
    return cases


def sample_real_crop(rng: np.random.Generator, case: RealCase, *, size: int) -> Scene:
    """Draw an augmented crop of `size` voxels a side that holds a part of the lesion."""
    while True:
        suv, mask = _cut_faces(rng, case)
        spacing_mm = float(rng.choice([4.0 * np.exp(rng.uniform(-0.15, 0.25)), rng.uniform(2.0, 3.5)], p=[0.85, 0.15]))
        inside = np.argwhere(mask)
        centre = inside[rng.integers(len(inside))] if rng.random() < 0.6 else inside.mean(axis=0)
        centre_mm = centre * np.asarray(case.spacing_kji_mm) + rng.normal(0, 6.0, 3)
        crop, fraction = resample_turned(rng, suv, mask, centre_mm, case.spacing_kji_mm, spacing_mm, size)
        if (fraction >= 0.5).sum() >= 8:
            return Scene(change_appearance(rng, crop, spacing_mm), fraction, spacing_mm)


def _cut_faces(rng: np.random.Generator, case: RealCase) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Zero the image beyond a random cut on each face, never through the lesion."""
    kept = draw_cut_faces(rng, VoxelBox.of_mask(case.mask), case.mask.shape, spacing_kji_mm=case.spacing_kji_mm)
    suv = np.zeros_like(case.suv)
    suv[kept.slices] = case.suv[kept.slices]
    return suv, case.mask


def draw_cut_faces(
    rng: np.random.Generator,
    lesion: VoxelBox,
    shape_kji: Sequence[int],
    *,
    spacing_kji_mm: tuple[float, float, float],
) -> VoxelBox:
    """What is left of an image when a random slab of up to 45 mm is cut off each face, never through the lesion."""
    start, stop = [], []
    for axis, spacing in enumerate(spacing_kji_mm):
        start.append(min(int(rng.uniform(0, MAX_CUT_MM) / spacing), lesion.start_kji[axis]))
        stop.append(max(shape_kji[axis] - int(rng.uniform(0, MAX_CUT_MM) / spacing), lesion.stop_kji[axis]))
    return VoxelBox((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def resample_turned(
    rng: np.random.Generator,
    suv: NDArray[np.float32],
    mask: NDArray[np.generic],
    centre_mm: NDArray[np.float64],
    spacing_kji_mm: tuple[float, float, float],
    spacing_mm: float,
    size: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Image and share of the mask in a randomly turned cubic crop around `centre_mm` (from voxel 0, along k, j, i).

    The mask is bool, or the share of each voxel that belongs to it.
    """
    axis = (np.arange(size) - (size - 1) / 2) * spacing_mm
    offsets = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1) @ random_turn(rng).T
    index = (offsets + centre_mm) / np.asarray(spacing_kji_mm)
    normalized = (2 * index / (np.asarray(suv.shape) - 1) - 1)[..., ::-1]  # grid_sample wants i, j, k in [-1, 1]
    grid = torch.from_numpy(np.ascontiguousarray(normalized, dtype=np.float32))[None]
    stack = torch.from_numpy(np.stack([suv, mask.astype(np.float32)]))[None]
    crop = functional.grid_sample(stack, grid, mode="bilinear", padding_mode="zeros", align_corners=True)[0].numpy()
    return crop[0], crop[1]


def random_turn(rng: np.random.Generator, *, is_permuted: bool = True) -> NDArray[np.float64]:
    """A random flip and order of the axes, and often a tilt of up to `TILT_DEGREES` about a random axis.

    Args:
        rng: Source of the draws.
        is_permuted: False leaves the order of the axes.

    Returns:
        (3, 3), to be multiplied with columns along the turned axes.
    """
    order = rng.permutation(3) if is_permuted else np.arange(3)
    turn: NDArray[np.float64] = np.eye(3)[order] * rng.choice([-1.0, 1.0], 3)
    if rng.random() < 0.5:
        x, y, z = rng.standard_normal(3)
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) / np.linalg.norm([x, y, z])
        angle = np.deg2rad(rng.uniform(0, TILT_DEGREES))
        turn = (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross) @ turn
    return turn


def change_appearance(rng: np.random.Generator, suv: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float32]:
    """Another scanner: calibration, sharpness and noise."""
    data = suv > 0
    suv = suv * float(rng.uniform(0.8, 1.25))
    if rng.random() < 0.3:
        suv = ndimage.gaussian_filter(suv, rng.uniform(0, 5.0) / FWHM_PER_SIGMA / spacing_mm)
    if rng.random() < 0.4:
        suv = add_noise(rng, suv, spacing_mm=spacing_mm, relative=float(rng.uniform(0.02, 0.15)))
    return np.asarray(suv * data, dtype=np.float32)
