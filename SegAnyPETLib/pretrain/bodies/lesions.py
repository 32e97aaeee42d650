"""Lesions: where they sit, how they are shaped and what they take up.

Sizes follow a log-normal law with a median of 17 mm (a design value), shapes are bumpy, lobulated, elongated or
confluent, uptake is lumpy (random Gaussian lumps) and large ones may have a cold core, which belongs to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.pretrain.bodies.anatomy import Body
from SegAnyPETLib.pretrain.bodies.canvas import VOXEL_MM, interpolate
from SegAnyPETLib.pretrain.bodies.tissues import HOT_NEIGHBOURS, LEFT, Tissue
from SegAnyPETLib.pretrain.bodies.tracers import Preset
from SegAnyPETLib.pretrain.bodies.window import Window

FloatVolume = NDArray[np.float32]
FloatVector = NDArray[np.float64]
DIAMETER_MM = (5.0, 90.0)
MASS_MM = (60.0, 200.0)  # sarcomas and the like
MASS_SHARE = 0.12
MASS_CORE = 0.98  # the cold core of a mass may reach nearly to its surface
TOUCHING_SHARE = 0.25
CLEARANCE = 1.25  # of the surface, to the next lesion: two that touch would be one to the eye
MEDIAN_SUV: dict[Preset, float] = {"fdg": 5.5, "psma": 9.0, "sstr": 11.0, "wild": 4.0}

_T = Tissue
# Tissues of the site, its share, and how far from a random voxel of them the lesion lies, mm.
_SITES: tuple[tuple[tuple[Tissue, ...], float, tuple[float, float]], ...] = (
    ((_T.LUNG,), 0.18, (0.0, 0.0)),
    ((_T.LIVER,), 0.14, (0.0, 0.0)),
    ((_T.VERTEBRA, _T.MARROW), 0.16, (0.0, 6.0)),
    ((_T.AORTA, _T.VEIN, _T.AIRWAY, _T.OESOPHAGUS), 0.20, (12.0, 28.0)),  # nodes along vessels and airways
    ((_T.PAROTID, _T.SUBMANDIBULAR, _T.THYROID), 0.08, (10.0, 35.0)),  # neck
    ((_T.FAT, _T.MUSCLE), 0.14, (0.0, 0.0)),
    ((_T.JEJUNUM, _T.ILEUM, _T.LEFT_COLON, _T.RIGHT_COLON, _T.STOMACH, _T.PANCREAS), 0.06, (0.0, 10.0)),
    ((_T.ADRENAL, _T.PROSTATE, _T.UTERUS, _T.BREAST, _T.SPLEEN, _T.GREY), 0.04, (0.0, 5.0)),
)


@dataclass(frozen=True)
class Site:
    """Where a lesion goes: its centre in voxels of the body (z, y, x), and labels that it leaves alone."""

    centre: FloatVector
    keep: tuple[int, ...]


def draw_diameter(rng: np.random.Generator, *, largest_mm: float = MASS_MM[1], mass_share: float = MASS_SHARE) -> float:
    """Equivalent diameter in mm: log-normal, median 17, geometric SD 1.8; `mass_share` are masses of 60 to 200 mm."""
    if rng.random() < mass_share:
        return min(largest_mm, float(np.exp(rng.uniform(*np.log(MASS_MM)))))
    return min(largest_mm, float(np.clip(rng.lognormal(np.log(17.0), np.log(1.8)), *DIAMETER_MM)))


def draw_site(rng: np.random.Generator, body: Body, *, diameter_mm: float) -> Site:
    """A site by prior; every fourth touches an organ that is hot by itself, and masses sit in soft tissue."""
    if diameter_mm < MASS_MM[0] and rng.random() < TOUCHING_SHARE:
        return _touching_site(rng, body, radius=diameter_mm / 2 / VOXEL_MM)
    shares = np.array([share for _, share, _ in _SITES])
    soft = diameter_mm >= MASS_MM[0] and rng.random() < 0.7
    tissues, _, (near, far) = _SITES[5 if soft else int(rng.choice(len(_SITES), p=shares / shares.sum()))]
    for _ in range(20):
        place = _random_place(rng, body, tissues)
        z, _, x = place.astype(int)
        if body.chords[0][z, x] * VOXEL_MM >= 0.7 * diameter_mm:  # not a mass as wide as two arms
            break
    return Site(place + _direction(rng) * rng.uniform(near, far) / VOXEL_MM, ())


def _touching_site(rng: np.random.Generator, body: Body, *, radius: float) -> Site:
    tissue = HOT_NEIGHBOURS[int(rng.integers(len(HOT_NEIGHBOURS)))]
    place, direction = _random_place(rng, body, (tissue,)), _direction(rng)
    keep = (int(tissue), int(tissue) + LEFT)
    limit = np.asarray(body.labels.shape) - 1
    for _ in range(40):
        place = place + direction
        z, y, x = np.clip(place, 0, limit).astype(int)
        if body.labels[z, y, x] not in keep:
            break
    return Site(place + direction * radius * rng.uniform(0.75, 1.05), keep)


def _random_place(rng: np.random.Generator, body: Body, tissues: tuple[Tissue, ...]) -> FloatVector:
    labels = [t + side for t in tissues for side in (0, LEFT) if t + side in body.places]
    if not labels:  # a man has no uterus; any soft tissue will do
        labels = [int(Tissue.MUSCLE)]
    places = body.places[labels[int(rng.integers(len(labels)))]]
    return np.asarray(places[rng.integers(len(places))], dtype=np.float64)


def _direction(rng: np.random.Generator) -> FloatVector:
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


def paint_lesion(
    rng: np.random.Generator, window: Window, site: Site, *, number: int, diameter_mm: float, preset: Preset
) -> bool:
    """Put lesion `number` into `window` (changed in place), inside the body and clear of other lesions.

    Returns:
        Whether it was painted; not when there was no room for it.
    """
    radius = diameter_mm / 2 / VOXEL_MM
    centre = site.centre - window.start
    half = 1.9 * radius + 2
    low = np.maximum(np.floor(centre - half), 0).astype(int)
    high = np.minimum(np.ceil(centre + half) + 1, window.labels.shape).astype(int)
    if (high - low < 2).any():
        return False
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    reach = draw_reach(rng, low=low - centre, shape=tuple(int(n) for n in high - low), radius=radius)
    labels = window.labels[box]
    allowed = np.ones(256, dtype=bool)
    allowed[[int(Tissue.AIR), int(Tissue.AIRWAY), *site.keep]] = False
    inside = (reach < 1) & allowed[labels]
    if not allowed[labels].all():
        inside = _largest_piece(inside)
    if inside.sum() < 4 or window.lesions[box][reach < CLEARANCE].any():
        return False
    uptake = window.uptake[box]
    surroundings = float(np.median(uptake[inside]))
    level = _draw_level(rng, surroundings, preset)
    uptake[inside] = _draw_pattern(rng, reach, level, surroundings, diameter_mm)[inside]
    window.lesions[box][inside] = number
    return True


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What the skin or an organ that is left alone cuts off does not belong to the lesion."""
    pieces, count = ndimage.label(mask)
    return mask if count < 2 else np.asarray(pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()))


def draw_reach(rng: np.random.Generator, *, low: FloatVector, shape: tuple[int, ...], radius: float) -> FloatVolume:
    """Distance from the lesion's centre in units of its surface, below 1 inside, on voxels from `low` (centre = 0).

    Half are single bumpy bodies; 20 % are lobulated, 10 % elongated, 10 % confluent nodes, the rest smooth.
    """
    kind = rng.random()
    parts = [(np.zeros(3), radius)]
    stretch = rng.normal(0, 0.15, 3)
    if kind < 0.2:
        size = 0.8 * radius
        parts = [(np.zeros(3), size)]
        for _ in range(int(rng.integers(1, 5))):
            parts.append((_direction(rng) * radius * rng.uniform(0.4, 0.8), size * rng.uniform(0.4, 0.8)))
    elif kind < 0.3:
        stretch = np.array([np.log(rng.uniform(1.8, 3.0)), 0.0, rng.uniform(-0.3, 0.0)])
    elif kind < 0.4:
        size = 0.62 * radius
        step = _direction(rng) * size * rng.uniform(1.5, 1.9)
        parts = [(step * n + rng.normal(0, 0.25, 3) * size, size * rng.uniform(0.7, 1.1)) for n in (-1, 0, 1)]
        parts[1] = (np.zeros(3), size)
    stretch = stretch - stretch.mean()
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    axes = [(np.arange(n) + a).astype(np.float32) for n, a in zip(shape, low, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    reach = np.full(shape, np.inf, dtype=np.float32)
    for offset, size in parts:
        matrix = (rotation / (size * np.exp(stretch))[:, None]).astype(np.float32)
        squared = np.zeros(shape, dtype=np.float32)
        for row in matrix:
            local = (row[0] * (z - np.float32(offset[0])) + row[1] * (y - np.float32(offset[1]))) + row[2] * (
                x - np.float32(offset[2])
            )
            squared += local * local
        np.minimum(reach, squared, out=reach)
    reach = np.sqrt(reach)
    roughness = rng.uniform(0.03, 0.3) if kind < 0.9 else 0.0
    nodes = [int(np.clip(2.2 * n / (2 * radius), 2, 12)) for n in shape]
    reach *= np.exp(np.float32(1.4 * roughness) * _lattice(rng, nodes, shape))
    return reach


def _lattice(rng: np.random.Generator, nodes: list[int], shape: tuple[int, ...]) -> FloatVolume:
    return interpolate(rng.standard_normal(nodes, dtype=np.float32), shape)


def _draw_level(rng: np.random.Generator, surroundings: float, preset: Preset) -> float:
    """SUV of the viable part: log-normal, at least 1.4 times the surroundings; 10 % are colder or barely hotter."""
    if rng.random() < 0.10 and surroundings > 1.0:
        return surroundings * float(rng.choice([rng.uniform(0.15, 0.6), rng.uniform(1.3, 1.6)]))
    level = float(np.clip(rng.lognormal(np.log(MEDIAN_SUV[preset]), np.log(1.8)), 1.4, 40.0))
    if level < 1.4 * surroundings:
        return surroundings * float(rng.uniform(1.4, 3.5))
    return level


def _draw_pattern(
    rng: np.random.Generator, reach: FloatVolume, level: float, surroundings: float, diameter_mm: float
) -> FloatVolume:
    """Uptake inside: lumps of 10 to 40 %, sometimes a cold core, sometimes a fainter margin."""
    nodes = [int(np.clip(n / rng.uniform(4, 10), 2, 20)) for n in reach.shape]
    pattern = level * np.exp(np.float32(rng.uniform(0.05, 0.4)) * _lattice(rng, nodes, reach.shape))
    core_share = 0.7 if diameter_mm >= MASS_MM[0] else 0.25 if diameter_mm > 30 else 0.0
    if rng.random() < core_share:
        ragged = _lattice(rng, [7, 7, 7], reach.shape)
        core = (reach < rng.uniform(0.45, MASS_CORE if diameter_mm >= MASS_MM[0] else 0.88)) & (
            ragged > rng.uniform(-2.0, 0.3)
        )
        pattern[core] = np.minimum(pattern[core], rng.uniform(0.08, 0.4) * level)
    if diameter_mm > 25 and rng.random() < 0.2:
        margin = reach > rng.uniform(0.7, 0.95)
        pattern[margin] = surroundings + (pattern[margin] - surroundings) * np.float32(rng.uniform(0.3, 0.6))
    return np.asarray(pattern, dtype=np.float32)
