"""Training crops from whole bodies: one target, its image, its share of every voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.pretrain.bodies.acquisition import (
    add_scan_noise,
    draw_scanner,
    noise_free_image,
    voxel_fractions,
    voxel_matrix,
)
from SegAnyPETLib.pretrain.bodies.anatomy import Body, build_body
from SegAnyPETLib.pretrain.bodies.canvas import VOXEL_MM
from SegAnyPETLib.pretrain.bodies.lesions import Site, draw_diameter, draw_site, paint_lesion
from SegAnyPETLib.pretrain.bodies.motion import draw_breathing
from SegAnyPETLib.pretrain.bodies.tissues import FOCI, LEFT, ORGANS, Organ, Tissue
from SegAnyPETLib.pretrain.bodies.tracers import Preset, draw_preset, draw_uptake
from SegAnyPETLib.pretrain.bodies.visible import is_visible
from SegAnyPETLib.pretrain.bodies.window import Window, cut_window
from SegAnyPETLib.pretrain.scene import Scene
from SegAnyPETLib.pretrain.synthetic import image_end

FloatVector = NDArray[np.float64]
MARGIN_VOXELS = np.array([13, 6, 6])  # beyond the crop along z, y, x: breathing and three sigmas of the point spread
LESION_SHARE, ORGAN_SHARE = 0.60, 0.30
MASS_SHARE = 0.25  # of the lesions asked for: more than in life, since masses are what one click finds least of
FEWEST_VOXELS = 8
FIRST_BODY = 1_000_000  # seeds of bodies below this are free for testing
LARGEST_SHARE = 1.4  # diameter of the largest lesion, in sides of the crop


class Bodies(Sequence[Body]):
    """A bank of bodies, each built when it is first asked for and then kept: about 19 MB and a few seconds each.

    Args:
        seed: The bank of one seed holds the same bodies always, and shares none with that of another.
        count: How many.
    """

    def __init__(self, seed: int, count: int) -> None:
        self.seed = seed
        self._kept: list[Body | None] = [None] * count

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> Body:  # type: ignore[override]  # slices of a bank are not needed
        body = self._kept[index]
        if body is None:
            body = self._kept[index] = build_body((self.seed + 1) * FIRST_BODY + index)
        return body


@dataclass(frozen=True)
class _Target:
    """A lesion to be painted, or all voxels of `labels`; `piece` asks for their connected part at `place`."""

    place: FloatVector
    labels: tuple[int, ...] = ()
    piece: bool = False
    organ: Organ | None = None
    site: Site | None = None
    diameter_mm: float = 0.0


def sample_body_scene(
    rng: np.random.Generator,
    *,
    size: int,
    bodies: Sequence[Body],
    spacing_mm: float | None = None,
    is_turned: bool = True,
) -> Scene:
    """Draw a crop of `size` voxels a side from a random body with a random tracer and scanner.

    The target is a lesion in 60 % of the crops, an organ in 30 %, another physiological focus in 10 %, up to 30 % of
    the crop away from its centre. Voxels are 4 mm (55 %), 2 mm (30 %) or 2 to 5 mm. The crop is turned by multiples
    of 90 degrees and flipped, and may reach beyond the image. Redrawn until the target has eight voxels and is visible
    (see `is_visible`) in the noise-free image.

    Args:
        rng: Source of everything but the bodies.
        size: Voxels along each side.
        bodies: Where to cut from.
        spacing_mm: Of the voxels; drawn as above where None.
        is_turned: False leaves the axes, k towards the head, j to the back and i to the left; they are flipped only.
    """
    while True:
        body = bodies[int(rng.integers(len(bodies)))]
        voxel_mm = _draw_spacing_mm(rng) if spacing_mm is None else spacing_mm
        target = _draw_target(rng, body, spacing_mm=voxel_mm, size=size)
        scene = None if target is None else _draw_crop(rng, body, target, spacing_mm=voxel_mm, size=size)
        if scene is not None:
            return _turned(rng, scene, is_permuted=is_turned)


def _draw_spacing_mm(rng: np.random.Generator) -> float:
    return float(rng.choice([4.0, 2.0, rng.uniform(2.0, 5.0)], p=[0.55, 0.3, 0.15]))


def _draw_target(rng: np.random.Generator, body: Body, *, spacing_mm: float, size: int) -> _Target | None:
    kind, organ = rng.random(), None
    if kind < LESION_SHARE:
        diameter = draw_diameter(rng, largest_mm=LARGEST_SHARE * size * spacing_mm, mass_share=MASS_SHARE)
        diameter = max(diameter, 2.6 * spacing_mm)
        site = draw_site(rng, body, diameter_mm=diameter)
        return _Target(site.centre, site=site, diameter_mm=diameter)
    if kind < LESION_SHARE + ORGAN_SHARE:
        organ = ORGANS[int(rng.integers(len(ORGANS)))]
        instances = organ.instances()
        labels = instances[int(rng.integers(len(instances)))][1]
    else:
        labels = (int(FOCI[int(rng.integers(len(FOCI)))]) + int(rng.choice([0, LEFT])),)
    present = [label for label in labels if label in body.places]
    if not present:
        return None
    places = body.places[present[int(rng.integers(len(present)))]]
    place = np.asarray(places[rng.integers(len(places))], dtype=np.float64)
    return _Target(place, labels=labels, piece=organ is None, organ=organ)


def _draw_crop(rng: np.random.Generator, body: Body, target: _Target, *, spacing_mm: float, size: int) -> Scene | None:
    side = size * spacing_mm / VOXEL_MM
    low = target.place + 0.5 + rng.uniform(-0.3, 0.3, 3) * side - side / 2  # in voxels; voxel n reaches from n to n + 1
    start = np.floor(low).astype(np.int64) - MARGIN_VOXELS
    stop = np.ceil(low + side).astype(np.int64) + MARGIN_VOXELS
    preset = draw_preset(rng)
    table = draw_uptake(rng, preset, fat_mm=body.habitus.fat_mm)
    if target.organ is not None and not target.organ.stands_out(table):
        return None
    window = cut_window(rng, body, start=start, stop=stop, table=table)
    if target.site is not None and not paint_lesion(
        rng, window, target.site, preset=preset, number=1, diameter_mm=target.diameter_mm
    ):
        return None
    _paint_others(rng, window, preset, low=low, side=side)
    mask = _target_mask(window, target)
    edges = [(low[a] - start[a] + np.arange(size + 1) * spacing_mm / VOXEL_MM) * VOXEL_MM for a in range(3)]
    boxes = [voxel_matrix(edges[a], count=window.labels.shape[a], step_mm=VOXEL_MM) for a in range(3)]
    cut = image_end(rng, size) & _scanned(body, low, spacing_mm, size)
    fraction = voxel_fractions(mask, boxes) * cut
    if (fraction >= 0.5).sum() < FEWEST_VOXELS:
        return None
    scanner = draw_scanner(rng)
    spacing = (spacing_mm,) * 3
    breathing = draw_breathing(rng, dome_mm=body.dome_index * VOXEL_MM)
    moved = breathing.matrix((start[0] + np.arange(window.labels.shape[0])) * VOXEL_MM, step_mm=VOXEL_MM)
    clean = noise_free_image(window.uptake, boxes, scanner, moved=moved, spacing_kji_mm=spacing)
    if not is_visible(clean * cut, fraction, spacing_kji_mm=spacing):
        return None
    places = [start[a] + boxes[a].argmax(axis=1) for a in range(3)]
    z, y, x = (np.clip(p, 0, n - 1) for p, n in zip(places, body.labels.shape, strict=True))
    thickness = body.thickness_mm(z, y, x)
    noisy = add_scan_noise(
        rng, clean, scanner, spacing_kji_mm=spacing, liver_suv=float(table[Tissue.LIVER]), thickness_mm=thickness
    )
    return Scene(noisy * np.float32(scanner.gain) * cut, fraction, spacing_mm)


def _paint_others(rng: np.random.Generator, window: Window, preset: Preset, *, low: FloatVector, side: float) -> None:
    """Further lesions near the target, mostly nodes."""
    for number in range(2, 2 + int(rng.poisson(1.2))):
        diameter = draw_diameter(rng, largest_mm=60.0)
        centre = low + rng.uniform(0, 1, 3) * side
        paint_lesion(rng, window, Site(centre, ()), number=number, diameter_mm=diameter, preset=preset)


def _target_mask(window: Window, target: _Target) -> NDArray[np.bool_]:
    if target.site is not None:
        return np.asarray(window.lesions == 1)
    wanted = np.zeros(256, dtype=bool)
    wanted[list(target.labels)] = True
    mask = np.asarray(wanted[window.labels] & (window.lesions == 0))
    if target.piece:
        pieces, _ = ndimage.label(mask)
        z, y, x = (target.place - window.start).astype(int)
        mask &= pieces == pieces[z, y, x]
    return mask


def _scanned(body: Body, low: FloatVector, spacing_mm: float, size: int) -> NDArray[np.bool_]:
    """Voxels whose centre lies inside the body's array, (size, size, size)."""
    inside = []
    for first, count in zip(low, body.labels.shape, strict=True):
        centre = first + (np.arange(size) + 0.5) * spacing_mm / VOXEL_MM
        inside.append((centre >= 0) & (centre <= count))
    return np.asarray(inside[0][:, None, None] & inside[1][:, None] & inside[2])


def _turned(rng: np.random.Generator, scene: Scene, *, is_permuted: bool) -> Scene:
    order = rng.permutation(3) if is_permuted else np.arange(3)
    flips = tuple(int(a) for a in np.flatnonzero(rng.random(3) < 0.5))
    suv, fraction = (np.ascontiguousarray(np.flip(v.transpose(order), flips)) for v in (scene.suv, scene.fraction))
    return Scene(suv.astype(np.float32), fraction.astype(np.float32), scene.spacing_mm)
