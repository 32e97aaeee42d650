"""Whole synthetic studies with every lesion and organ that can be seen, to test on what was never trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data import write_mask_nifti, write_volume_nifti
from SegAnyPETLib.data.atomic import write_folder_atomically
from SegAnyPETLib.errors import OutputError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.pretrain.bodies.acquisition import (
    add_scan_noise,
    draw_scanner,
    noise_free_image,
    voxel_fractions,
    voxel_matrix,
)
from SegAnyPETLib.pretrain.bodies.anatomy import Body, build_body
from SegAnyPETLib.pretrain.bodies.canvas import VOXEL_MM
from SegAnyPETLib.pretrain.bodies.lesions import draw_diameter, draw_site, paint_lesion
from SegAnyPETLib.pretrain.bodies.motion import draw_breathing
from SegAnyPETLib.pretrain.bodies.tissues import ORGANS, Tissue
from SegAnyPETLib.pretrain.bodies.tracers import Preset, draw_preset, draw_uptake
from SegAnyPETLib.pretrain.bodies.visible import is_visible
from SegAnyPETLib.pretrain.bodies.window import Window, cut_window

SPACING_KJI_MM = (3.27, 4.07, 4.07)
SMALLEST_ML = 0.3
NO_LESION_SHARE = 0.15
MEAN_FURTHER_LESIONS = 4.0


@dataclass(frozen=True, eq=False)
class StudyObject:
    """One structure of a study.

    Attributes:
        name: Such as "liver", "kidney_left", "lesion_02"; unique in its study.
        kind: Lesion or organ.
        mask: Voxels at least half of which belong to it, bool (K, J, I).
        volume_ml: Exact volume, from the 2 mm grid.
    """

    name: str
    kind: Literal["lesion", "organ"]
    mask: NDArray[np.bool_]
    volume_ml: float


@dataclass(frozen=True, eq=False)
class Study:
    """One acquisition of a whole body.

    Attributes:
        suv: SUVbw, float32 (K, J, I).
        grid: Where its voxels lie.
        preset: The tracer.
        objects: The lesions and organs that are large enough and visible.
    """

    suv: NDArray[np.float32]
    grid: Grid
    preset: Preset
    objects: tuple[StudyObject, ...]


def sample_study(
    seed: int, *, preset: Preset | None = None, spacing_kji_mm: tuple[float, float, float] = SPACING_KJI_MM
) -> Study:
    """Draw the study of `seed`: another body, tracer, lesions and scanner for every seed, the same for the same one.

    Objects are kept when they have 0.3 ml on the voxels of the image and are visible by the rule of `is_visible` in the
    noise-free image: at least 1.3 times or at most 0.77 times the 10 mm around them. 15 % of the studies have no
    lesion, the others 1 + Poisson(4). Takes a few seconds and about 400 MB.

    Args:
        seed: Of everything. Those below a million share no body with training (see `Bodies`).
        preset: The tracer; drawn when None.
        spacing_kji_mm: Voxel size along k (to the head), j (to the back), i (to the left).
    """
    rng = np.random.default_rng([seed, 73])
    body = build_body(seed)
    chosen = draw_preset(rng) if preset is None else preset
    table = draw_uptake(rng, chosen, fat_mm=body.habitus.fat_mm)
    shape = np.asarray(body.labels.shape, dtype=np.int64)
    window = cut_window(rng, body, start=np.zeros(3, dtype=np.int64), stop=shape, table=table)
    lesions = 0 if rng.random() < NO_LESION_SHARE else 1 + int(rng.poisson(MEAN_FURTHER_LESIONS))
    for number in range(1, lesions + 1):
        diameter = draw_diameter(rng)
        site = draw_site(rng, body, diameter_mm=diameter)
        paint_lesion(rng, window, site, number=number, diameter_mm=diameter, preset=chosen)
    scanner = draw_scanner(rng)
    grid = _grid(body, spacing_kji_mm)
    boxes = [
        voxel_matrix(np.arange(n + 1, dtype=np.float64) * spacing, count=count, step_mm=VOXEL_MM)
        for n, spacing, count in zip(grid.shape_kji, spacing_kji_mm, body.labels.shape, strict=True)
    ]
    breathing = draw_breathing(rng, dome_mm=body.dome_index * VOXEL_MM)
    moved = breathing.matrix(np.arange(shape[0]) * VOXEL_MM, step_mm=VOXEL_MM)
    clean = noise_free_image(window.uptake, boxes, scanner, moved=moved, spacing_kji_mm=spacing_kji_mm)
    objects = tuple(_visible_objects(window, boxes, clean, spacing_kji_mm, lesions=lesions, table=table))
    noisy = add_scan_noise(
        rng,
        clean,
        scanner,
        spacing_kji_mm=spacing_kji_mm,
        liver_suv=float(table[Tissue.LIVER]),
        thickness_mm=body.thickness_mm(*(box.argmax(axis=1) for box in boxes)),
    )
    return Study(noisy * np.float32(scanner.gain), grid, chosen, objects)


def _grid(body: Body, spacing_kji_mm: tuple[float, float, float]) -> Grid:
    """Voxels that fill the body's array from its low corner on."""
    spacing = np.asarray(spacing_kji_mm)
    shape = np.floor(np.asarray(body.labels.shape) * VOXEL_MM / spacing).astype(int)
    origin = np.asarray(body.low_lps_mm) - VOXEL_MM / 2 + spacing[::-1] / 2
    k, j, i = (int(n) for n in shape)
    x, y, z = (float(v) for v in origin)
    return Grid((k, j, i), (spacing_kji_mm[2], spacing_kji_mm[1], spacing_kji_mm[0]), (x, y, z))


def _visible_objects(
    window: Window,
    boxes: list[NDArray[np.float64]],
    clean: NDArray[np.float32],
    spacing_kji_mm: tuple[float, float, float],
    *,
    lesions: int,
    table: NDArray[np.float32],
) -> Iterator[StudyObject]:
    voxel_ml = float(np.prod(spacing_kji_mm)) / 1000.0
    for name, kind, mask in _structures(window, lesions, table):
        fraction = voxel_fractions(mask, boxes)
        inside = fraction >= 0.5
        if inside.sum() * voxel_ml >= SMALLEST_ML and is_visible(clean, fraction, spacing_kji_mm=spacing_kji_mm):
            yield StudyObject(name, kind, inside, float(mask.sum()) * VOXEL_MM**3 / 1000.0)


def _structures(
    window: Window, lesions: int, table: NDArray[np.float32]
) -> Iterator[tuple[str, Literal["lesion", "organ"], NDArray[np.bool_]]]:
    for number in range(1, lesions + 1):
        yield f"lesion_{number:02d}", "lesion", window.lesions == number
    free = window.lesions == 0
    for organ in (o for o in ORGANS if o.stands_out(table)):
        for name, labels in organ.instances():
            wanted = np.zeros(256, dtype=bool)
            wanted[list(labels)] = True
            yield name, "organ", wanted[window.labels] & free


def write_study(study: Study, out: Path, *, name: str) -> list[Path]:
    """Write every object as a case for `seganypet evaluate`: OUT/NAME_OBJECT/pet.nii.gz and gtv.nii.gz.

    The image is written once; the cases of one study share it by hard links.

    Returns:
        The folders, in the order of the study's objects.

    Raises:
        OutputError: A folder is in use, cannot be written, or lies on a file system without hard links.
    """
    folders: list[Path] = []
    for item in study.objects:
        folder = out / f"{name}_{item.name}"
        with write_folder_atomically(folder) as temporary:
            image = temporary / "pet.nii.gz"
            if folders:
                _link(image, folders[0] / "pet.nii.gz")
            else:
                write_volume_nifti(image, study.suv, grid=study.grid)
            write_mask_nifti(temporary / "gtv.nii.gz", item.mask, grid=study.grid)
        folders.append(folder)
    return folders


def _link(path: Path, existing: Path) -> None:
    try:
        path.hardlink_to(existing)
    except OSError as error:
        msg = (
            f"Cannot link {path} to {existing}: {error.strerror or error}. "
            "The cases of one study share one image; choose a folder on a file system with hard links."
        )
        raise OutputError(msg) from error
