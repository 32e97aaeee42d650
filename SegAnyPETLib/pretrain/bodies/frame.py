"""The outside of the body, its muscles and its skeleton."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.pretrain.bodies.canvas import Canvas, frame_along, side_label
from SegAnyPETLib.pretrain.bodies.tissues import BODY_WALL, Tissue

Sizes = NDArray[np.float64]
SKIN_MM = 2.0
SIDES = (-1, 1)  # right, left


@dataclass(frozen=True)
class Habitus:
    """Who is lying there.

    Attributes:
        fat_mm: Thickness of the fat shell of the trunk.
        arms_up: Arms beside the head instead of beside the trunk.
        female: Decides breasts and pelvic organs.
    """

    fat_mm: float
    arms_up: bool
    female: bool


def paint_outline(canvas: Canvas, habitus: Habitus) -> None:
    """Skin, fat and muscle: trunk 165 x 110, head 76 x 96 x 108, fat shell 5 to 45 mm."""
    fat, male = habitus.fat_mm, not habitus.female
    trunk = canvas.vary((150.0, 94.0, 288.0), sd=0.03, joint_sd=0.03)
    head = canvas.vary((72.0, 93.0, 105.0), sd=0.02, joint_sd=0.02)
    thigh = canvas.vary((66.0, 72.0, 190.0), sd=0.04)
    for tissue, grow in ((Tissue.SKIN, SKIN_MM), (Tissue.FAT, 0.0)):
        canvas.ellipsoid(tissue, (0, 0, -70), np.add(trunk, (fat, 0.8 * fat, 10)) + grow, exponent=4.0)
        canvas.ellipsoid(tissue, (0, 12, 185), np.array([185.0, 62.0, 55.0]) + grow + 0.3 * fat, exponent=2.5)
        canvas.ellipsoid(tissue, (0, -25 - fat, -190), np.array([130.0, 85.0, 120.0]) + grow + 0.4 * fat)
        for side in SIDES:
            canvas.ellipsoid(tissue, (82 * side, 5, -430), thigh + 0.5 * fat + grow, exponent=4.0)
        canvas.ellipsoid(tissue, (0, 18, 245), np.array([56.0, 58.0, 90.0]) + 0.25 * fat + grow)
        canvas.ellipsoid(tissue, (0, 5, 345), head + 4.0 + grow)
        _paint_arms(canvas, tissue, habitus, grow=grow + 0.3 * fat)
        if not male:
            for side in SIDES:
                canvas.ellipsoid(
                    tissue, (72 * side, -90 - 0.6 * fat, 90), (56 + grow, 40 + 0.6 * fat + grow, 52 + grow)
                )
    _paint_muscle(canvas, habitus, trunk=trunk, head=head, thigh=thigh)


def _paint_muscle(canvas: Canvas, habitus: Habitus, *, trunk: Sizes, head: Sizes, thigh: Sizes) -> None:
    canvas.ellipsoid(Tissue.MUSCLE, (0, 2, -70), trunk, exponent=4.0)
    canvas.ellipsoid(Tissue.MUSCLE, (0, 14, 185), (175, 52, 46), exponent=2.5, over=BODY_WALL)
    for side in SIDES:
        canvas.ellipsoid(Tissue.MUSCLE, (82 * side, 5, -430), thigh, exponent=4.0, over=BODY_WALL)
    canvas.ellipsoid(Tissue.MUSCLE, (0, 18, 245), (52, 54, 90), over=BODY_WALL)
    canvas.ellipsoid(Tissue.MUSCLE, (0, 5, 345), head, over=BODY_WALL)
    _paint_arms(canvas, Tissue.MUSCLE, habitus, grow=-4.0)
    # Fat around the abdominal organs, more of it in the obese; and the face and flanks are not all muscle.
    share = float(np.clip(0.55 + 0.01 * habitus.fat_mm, 0.5, 0.9))
    semi = np.array([trunk[0] * 0.86, trunk[1] * 0.86, 150.0]) * share ** (1 / 3)
    canvas.ellipsoid(Tissue.FAT, (0, -18, -165), semi, exponent=2.5, over=(Tissue.MUSCLE,))
    canvas.ellipsoid(Tissue.FAT, (0, -15, 110), (40, 60, 95), over=(Tissue.MUSCLE,))
    for side in SIDES:
        label = side_label(Tissue.PSOAS, side)
        canvas.tube(label, [(38 * side, 55, -110), (52 * side, 45, -220), (78 * side, 0, -330)], (12, 20, 10))
        label = side_label(Tissue.TRAPEZIUS, side)
        canvas.tube(
            label, [(28 * side, 55, 285), (45 * side, 55, 225), (120 * side, 35, 205)], (9, 13, 8), over=BODY_WALL
        )


def _paint_arms(canvas: Canvas, tissue: Tissue, habitus: Habitus, *, grow: float) -> None:
    beside = 178.0 + habitus.fat_mm
    for side in SIDES:
        if habitus.arms_up:
            points: list[tuple[float, float, float]] = [
                (160 * side, 12, 190),
                (175 * side, 0, 330),
                (95 * side, -30, 478),
            ]
        else:
            points = [(165 * side, 12, 190), ((beside + 42) * side, 20, -60), ((beside + 25) * side, -10, -330)]
        canvas.tube(tissue, points, np.array([46.0, 38.0, 26.0]) + grow)


def paint_skeleton(canvas: Canvas, habitus: Habitus) -> None:
    """24 vertebrae on a curve (lumbar body 22 x 16 x 14), sacrum, pelvis, femora, ribs, sternum, humeral heads."""
    bend = canvas.rng.normal(0, 4.0)
    size = canvas.vary((1.0,))[0]
    for n in range(24):
        z = -238.0 + 21.5 * n
        t = n / 23
        y = 62 + 10 * np.cos(2 * np.pi * t) - 55 * max(0.0, t - 0.72)
        x = bend * np.sin(2 * np.pi * t)
        semi = np.array([23.0 - 11 * t, 17.0 - 7 * t, 10.5]) * (size, size, 1)
        canvas.ellipsoid(Tissue.VERTEBRA, (x, y, z), semi, exponent=4.0)
        canvas.ellipsoid(Tissue.BONE, (x, y + semi[1] + 22, z - 6), (6, 14, 7))
    canvas.tube(Tissue.CORD, [(0, 95, -80), (0, 92, 60), (0, 78, 200), (0, 45, 285)], (5, 5, 5, 6))
    canvas.ellipsoid(Tissue.MARROW, (0, 78, -280), (46, 17, 42))
    for side in SIDES:
        marrow = side_label(Tissue.MARROW, side)
        axes = frame_along((0.75 * side, -0.65, 0.1))
        canvas.ellipsoid(marrow, (82 * side, 38, -262), (7, 46, 48), axes=axes, over=BODY_WALL)
        canvas.ellipsoid(marrow, (60 * side, -5, -352), (14, 30, 26), over=BODY_WALL)
        canvas.ellipsoid(marrow, (92 * side, 5, -330), (24, 24, 24), over=BODY_WALL)
        shaft = [(112 * side, 5, -358), (88 * side, -2, -520)]
        canvas.tube(side_label(Tissue.BONE, side), shaft, (16, 14), over=(*BODY_WALL, marrow))
        canvas.tube(side_label(Tissue.SHAFT, side), shaft, (8, 7))
        canvas.ellipsoid(marrow, (158 * side, 14, 188), (22, 22, 22))
        _paint_ribs(canvas, side)
    canvas.ellipsoid(Tissue.MARROW, (0, -84, 105), (17, 6, 75), over=BODY_WALL)


def _paint_ribs(canvas: Canvas, side: int) -> None:
    angles = np.deg2rad(np.linspace(15, 150, 7))
    for n in range(10):
        top = 190.0 - 23 * n
        width = 70 + 62 * np.sin(np.pi * min(1.0, (n + 2) / 11))
        points = [(side * width * np.sin(a), 5 + 80 * np.cos(a), top - 35 * (1 - np.cos(a))) for a in angles]
        canvas.tube(side_label(Tissue.MARROW, side), points, [4.5] * len(points), over=BODY_WALL)
