"""Synthetic PET crops with exact truth, drawn anew for every training step.

Domain randomization in the spirit of SynthSeg (Billot et al. 2023, Med. Image Anal. 86:102789): shapes are
plausible, appearance is wider than reality. Order of the physics: shapes and uptake, point spread function,
then correlated noise. The truth is geometric; it is never derived from the noisy image.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from SegAnyPETLib.pretrain.scene import Scene

FloatVolume = NDArray[np.float32]
FWHM_PER_SIGMA = 2.3548
BALLS_SHARE = 0.25


def sample_scene(rng: np.random.Generator, *, size: int, spacing_mm: float | None = None) -> Scene:
    """Draw a crop of `size` voxels a side, its first lesion near the centre; a quarter hold nothing but smooth balls.

    Voxels are of `spacing_mm`, or of a drawn size where that is None.

    Redraws until the chosen target has at least eight voxels in view. Shapes are evaluated at the voxel centres, so
    each voxel belongs to the target as a whole or not at all.
    """
    if rng.random() < BALLS_SHARE:
        return _sample_balls(rng, size, spacing_mm)
    while True:
        voxel_mm = draw_spacing_mm(rng) if spacing_mm is None else spacing_mm
        coords = _coordinates(size, voxel_mm)
        uptake, labels, lesions, regions = _anatomy(rng, coords, size * voxel_mm)
        kind = rng.random()
        choices = lesions[:1] if kind < 0.65 else regions if kind < 0.9 and regions else lesions[-1:]
        target = labels == int(rng.choice(choices))
        cut = image_end(rng, size)
        target &= cut
        if target.sum() >= 8:
            suv = _acquire(rng, uptake, voxel_mm) * cut
            return Scene(np.asarray(suv, dtype=np.float32), target.astype(np.float32), voxel_mm)


def draw_spacing_mm(rng: np.random.Generator) -> float:
    """Voxel size of a crop: mostly one of the two the session uses."""
    return float(rng.choice([4.0, 2.0, rng.uniform(2.0, 5.0)], p=[0.55, 0.3, 0.15]))


def smooth_field(rng: np.random.Generator, *, size: int, nodes: int) -> FloatVolume:
    """Random field of unit variance (before interpolation) with `nodes` lattice points a side."""
    lattice = torch.from_numpy(rng.standard_normal((1, 1, nodes, nodes, nodes), dtype=np.float32))
    field = functional.interpolate(lattice, size=(size,) * 3, mode="trilinear", align_corners=True)
    # Interpolation averages; the factor restores about unit variance.
    return np.asarray(1.4 * field[0, 0].numpy(), dtype=np.float32)


def add_noise(rng: np.random.Generator, suv: FloatVolume, *, spacing_mm: float, relative: float) -> FloatVolume:
    """Add correlated noise whose standard deviation grows with uptake; the result is not negative.

    The exponent is drawn between Poisson-like (0.5) and OSEM-like (1.0).
    """
    sigma = rng.uniform(3.0, 6.0) / FWHM_PER_SIGMA / spacing_mm
    white = ndimage.gaussian_filter(rng.standard_normal(suv.shape, dtype=np.float32), sigma)
    scale = relative * np.maximum(suv, 0.05) ** rng.uniform(0.5, 1.0)
    noisy = suv + scale * white / max(float(white.std()), 1e-6)
    return np.asarray(np.maximum(noisy, 0), dtype=np.float32)


def _coordinates(size: int, spacing_mm: float) -> FloatVolume:
    """Places of the voxel centres from the crop's centre, (3, D, H, W), mm."""
    axis = ((np.arange(size) - (size - 1) / 2) * spacing_mm).astype(np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))


def _sample_balls(rng: np.random.Generator, size: int, spacing_mm: float | None = None) -> Scene:
    """Uniform balls in a uniform background, as scanners are tested with: what a volume should be is known here.

    The share of a voxel inside a ball is that of a half space at the same distance, right to a few percent.
    """
    voxel_mm = draw_spacing_mm(rng) if spacing_mm is None else spacing_mm
    coords, extent_mm = _coordinates(size, voxel_mm), size * voxel_mm
    background = float(rng.lognormal(np.log(0.8), 0.6))
    level = background * float(np.exp(rng.uniform(np.log(2.0), np.log(16.0))))
    uptake = np.full(coords.shape[1:], background, dtype=np.float32)
    fraction: FloatVolume | None = None
    for n in range(1 + int(rng.integers(3))):
        radius_mm = 0.5 * float(np.exp(rng.uniform(np.log(8.0), np.log(min(50.0, 0.6 * extent_mm)))))
        centre = rng.normal(0, 0.12 if n == 0 else 0.35, 3) * extent_mm
        distance = np.sqrt(((coords - centre.astype(np.float32)[:, None, None, None]) ** 2).sum(axis=0))
        share = np.clip((radius_mm - distance) / voxel_mm + 0.5, 0, 1).astype(np.float32)
        if fraction is None:
            fraction = share
        elif (share * fraction).any():
            continue
        uptake += (level - background) * share
    if fraction is None or (fraction >= 0.5).sum() < 8:
        return _sample_balls(rng, size, spacing_mm)
    return Scene(_acquire(rng, uptake, voxel_mm), fraction, voxel_mm)


def _anatomy(
    rng: np.random.Generator, coords: FloatVolume, extent_mm: float
) -> tuple[FloatVolume, NDArray[np.int16], list[int], list[int]]:
    """Uptake and labels: tissue, up to five organs, air, then the lesions on top."""
    size = coords.shape[1]
    base = float(rng.lognormal(np.log(0.8), 0.5))
    uptake = base * np.exp(rng.uniform(0, 0.25) * smooth_field(rng, size=size, nodes=int(rng.integers(4, 12))))
    labels = np.zeros(uptake.shape, dtype=np.int16)
    regions: list[int] = []
    for _ in range(int(rng.integers(0, 6))):
        semi_axes = rng.uniform(0.08, 0.45, 3) * extent_mm
        inside = _blob(rng, coords, rng.uniform(-0.55, 0.55, 3) * extent_mm, semi_axes, roughness=0.2) < 1
        wild = rng.random() < 0.25
        level = np.exp(rng.uniform(np.log(0.1), np.log(20))) if wild else rng.lognormal(np.log(1.8), 0.7)
        texture = np.exp(rng.uniform(0, 0.2) * smooth_field(rng, size=size, nodes=8))
        uptake = np.where(inside, level * texture, uptake)
        regions.append(len(regions) + 1)
        labels[inside] = regions[-1]
    if rng.random() < 0.5:
        normal = rng.standard_normal(3)
        depth = np.tensordot(normal / np.linalg.norm(normal), coords, axes=1) / extent_mm
        air = depth + 0.08 * smooth_field(rng, size=size, nodes=4) > rng.uniform(0.1, 0.5)
        uptake, labels = np.where(air, rng.uniform(0, 0.08), uptake), np.where(air, 0, labels).astype(np.int16)
    lesions = []
    for n in range(1 + int(rng.poisson(1.2))):
        lesions.append(100 + n)
        uptake = _add_lesion(rng, coords, uptake, labels, lesions[-1], spread=0.10 if n == 0 else 0.40)
    return uptake.astype(np.float32), labels, lesions, regions


def _add_lesion(
    rng: np.random.Generator,
    coords: FloatVolume,
    uptake: FloatVolume,
    labels: NDArray[np.int16],
    label: int,
    *,
    spread: float,
) -> FloatVolume:
    """Put one lesion into `labels` (changed in place) and return the new uptake."""
    size, extent_mm = coords.shape[1], float(coords.max() - coords.min())
    radius_mm = float(np.exp(rng.uniform(np.log(1.3 * extent_mm / size), np.log(0.40 * extent_mm))))
    centre = rng.normal(0, spread, 3) * extent_mm
    reach = np.full(uptake.shape, np.inf, dtype=np.float32)
    for part in range(int(rng.integers(2, 5)) if rng.random() < 0.25 else 1):
        offset = rng.normal(0, 0.6, 3) * radius_mm if part else 0.0
        semi_axes = radius_mm * np.exp(rng.normal(0, 0.3, 3)) * (rng.uniform(0.5, 1) if part else 1.0)
        reach = np.minimum(reach, _blob(rng, coords, centre + offset, semi_axes, roughness=rng.uniform(0.05, 0.35)))
    inside = reach < 1
    if not inside.any():
        return uptake
    surroundings = float(np.median(uptake[inside]))
    contrast = float(np.clip(rng.lognormal(np.log(4.0), 0.7), 1.3, 40))
    level = np.full(uptake.shape, max(surroundings, 0.2) * contrast, dtype=np.float32)
    level *= np.exp(rng.uniform(0, 0.5) * smooth_field(rng, size=size, nodes=int(rng.integers(6, 16))))
    if radius_mm > 12 and rng.random() < 0.35:  # necrotic core, part of the truth
        core = (reach < rng.uniform(0.4, 0.85)) & (smooth_field(rng, size=size, nodes=7) > rng.uniform(-2, 0.5))
        level[core] *= rng.uniform(0.08, 0.6)
    if radius_mm > 20 and rng.random() < 0.25:  # faint margin, part of the truth
        margin = reach > rng.uniform(0.6, 0.95)
        level[margin] = surroundings + (level[margin] - surroundings) * rng.uniform(0.1, 0.5)
    labels[inside] = label
    return np.where(inside, level, uptake).astype(np.float32)


def _blob(
    rng: np.random.Generator,
    coords: FloatVolume,
    centre_mm: NDArray[np.float64],
    semi_axes_mm: NDArray[np.float64],
    *,
    roughness: float,
) -> FloatVolume:
    """Distance from the centre in units of the surface: below 1 inside. A rotated ellipsoid with bumps."""
    size = coords.shape[1]
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    matrix = (rotation / semi_axes_mm[:, None]).astype(np.float32)
    local = np.tensordot(matrix, coords - centre_mm.astype(np.float32)[:, None, None, None], axes=1)
    extent_mm = float(coords.max() - coords.min())
    nodes = int(np.clip(1.5 * extent_mm / semi_axes_mm.mean(), 4, 20))
    bumps = np.exp(roughness * smooth_field(rng, size=size, nodes=nodes))
    return np.asarray(np.sqrt((local**2).sum(axis=0)) * bumps, dtype=np.float32)


def image_end(rng: np.random.Generator, size: int) -> NDArray[np.bool_]:
    """Where the image has data: some crops reach beyond the scan, on one or several faces."""
    inside = np.ones((size,) * 3, dtype=bool)
    if rng.random() < 0.4:
        for axis in range(3):
            for face in range(2):
                if rng.random() < 0.4:
                    width = int(rng.uniform(0, 0.35) * size)
                    slab = [slice(None)] * 3
                    slab[axis] = slice(0, width) if face == 0 else slice(size - width, size)
                    inside[tuple(slab)] = False
    return inside


def _acquire(rng: np.random.Generator, uptake: FloatVolume, spacing_mm: float) -> FloatVolume:
    """Blur by the point spread function (FWHM 4 to 8 mm), then add noise, which is hardly any in one of ten."""
    sigma = rng.uniform(4.0, 8.0) / FWHM_PER_SIGMA / spacing_mm
    blurred = ndimage.gaussian_filter(uptake, sigma)
    least = 0.002 if rng.random() < 0.1 else 0.02
    return add_noise(
        rng, blurred, spacing_mm=spacing_mm, relative=float(np.exp(rng.uniform(np.log(least), np.log(0.25))))
    )
