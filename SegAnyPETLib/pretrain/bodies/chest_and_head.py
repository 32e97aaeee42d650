"""The organs of the head, the neck and the chest."""

from __future__ import annotations

import numpy as np

from SegAnyPETLib.pretrain.bodies.canvas import Canvas, frame_along, side_label
from SegAnyPETLib.pretrain.bodies.frame import SIDES, Habitus
from SegAnyPETLib.pretrain.bodies.tissues import BODY_WALL, Tissue


def paint_head(canvas: Canvas) -> None:
    """Brain of about 1.4 l with grey outside and white inside, skull, eyes, and the airway down to the throat."""
    centre = np.array([0.0, 5.0, 370.0])
    brain = canvas.vary((63.0, 80.0, 61.0), sd=0.03, joint_sd=0.03)
    canvas.ellipsoid(Tissue.BONE, centre - (0, 0, 12), np.add(brain, (7, 7, 20)), over=BODY_WALL)
    canvas.ellipsoid(Tissue.CSF, centre - (0, 0, 8), np.add(brain, (2, 2, 12)), over=(Tissue.BONE,))
    canvas.ellipsoid(Tissue.GREY, centre, brain)
    canvas.ellipsoid(Tissue.WHITE, centre, brain - canvas.rng.uniform(10, 14), roughness=0.14, over=(Tissue.GREY,))
    canvas.ellipsoid(Tissue.CEREBELLUM, (0, 46, 314), canvas.vary((47.0, 29.0, 24.0), sd=0.03))
    canvas.tube(Tissue.WHITE, [(0, 22, 335), (0, 34, 280)], (13, 9))
    canvas.ellipsoid(Tissue.VENTRICLE, np.add(centre, (0, 0, 32)), (2.0, 76, 30), over=(Tissue.GREY, Tissue.WHITE))
    for side in SIDES:
        canvas.ellipsoid(Tissue.NUCLEI, np.add(centre, (22 * side, -4, -6)), canvas.vary((11.0, 22.0, 13.0)))
        canvas.ellipsoid(Tissue.VENTRICLE, np.add(centre, (9 * side, 2, 6)), canvas.vary((5.0, 27.0, 8.0), sd=0.15))
        canvas.ellipsoid(side_label(Tissue.EYE, side), (32 * side, -74, 352), (12, 12, 12))
    canvas.ellipsoid(Tissue.PITUITARY, (0, -6, 312), (6, 5, 4))
    canvas.ellipsoid(Tissue.AIRWAY, (0, -55, 322), (11, 26, 24), roughness=0.15)
    canvas.ellipsoid(Tissue.AIRWAY, (0, -48, 284), (22, 20, 5))
    canvas.tube(Tissue.AIRWAY, [(0, -28, 315), (0, -14, 270), (0, -12, 225), (0, 2, 150)], (8, 9, 9, 9))


def paint_neck_glands(canvas: Canvas) -> None:
    """Lacrimal and salivary glands, tonsils, thyroid lobes, vocal cords, brown fat."""
    for side in SIDES:
        pairs = (
            (Tissue.LACRIMAL, (44, -66, 362), (5, 8, 7)),
            (Tissue.PAROTID, (62, 12, 292), (11, 17, 24)),
            (Tissue.SUBMANDIBULAR, (32, -26, 262), (10, 15, 13)),
            (Tissue.THYROID, (17, -12, 224), (8, 9, 23)),
        )
        for tissue, (x, y, z), semi in pairs:
            canvas.ellipsoid(side_label(tissue, side), (x * side, y, z), canvas.vary(semi), roughness=0.06)
        canvas.ellipsoid(Tissue.SUBLINGUAL, (12 * side, -46, 266), canvas.vary((5.0, 13.0, 6.0)))
        canvas.ellipsoid(Tissue.TONSIL, (17 * side, -12, 278), canvas.vary((6.0, 8.0, 11.0), sd=0.12))
        canvas.ellipsoid(Tissue.VOCAL_CORD, (5 * side, -16, 242), (3, 9, 4))
        for _ in range(4):
            place = (side * canvas.rng.uniform(35, 110), canvas.rng.uniform(15, 60), canvas.rng.uniform(185, 245))
            canvas.ellipsoid(
                Tissue.BROWN_FAT, place, canvas.rng.uniform(6, 14, 3), roughness=0.15, over=(Tissue.FAT, Tissue.MUSCLE)
            )


def paint_chest(canvas: Canvas, habitus: Habitus) -> None:
    """Lungs, heart (left ventricle open at its base, wall 9 to 12 mm), great vessels, oesophagus, breasts."""
    for side in SIDES:
        semi = canvas.vary((56.0, 76.0, 112.0) if side < 0 else (52.0, 74.0, 110.0), sd=0.05)
        canvas.ellipsoid(side_label(Tissue.LUNG, side), (76 * side, 2, 102), semi, exponent=2.4)
        if habitus.female:
            canvas.ellipsoid(side_label(Tissue.BREAST, side), (72 * side, -100, 88), (38, 22, 34), over=BODY_WALL)
    _paint_vessels(canvas)
    _paint_heart(canvas)
    canvas.tube(Tissue.OESOPHAGUS, [(3, 18, 225), (6, 32, 130), (18, 26, 10), (35, 0, -15)], (7, 7, 7, 8))


def _paint_vessels(canvas: Canvas) -> None:
    aorta, wide = [(-6, -18, 78), (-10, -16, 140), (4, 8, 166), (18, 40, 150), (20, 44, 40), (8, 40, -190)], 1.0
    wide = float(canvas.vary((1.0,), sd=0.1)[0])
    canvas.tube(Tissue.AORTA, aorta, np.array([14.0, 14.0, 13.0, 12.5, 12.0, 9.5]) * wide)
    cava = [(-34, -2, 150), (-30, 4, 60), (-24, 22, 0), (-18, 36, -190)]
    canvas.tube(Tissue.VEIN, [(-30, -10, 190), *cava], (8, 9, 11, 11, 10))
    for side in SIDES:
        fork = [(8, 38, -188), (45 * side, 22, -265), (84 * side, -28, -340), (90 * side, -30, -500)]
        canvas.tube(Tissue.AORTA, fork[:2], (7, 6))
        canvas.tube(Tissue.VEIN, fork[1:], (6, 7, 5))
        canvas.tube(Tissue.VEIN, [(20 * side, 0, 175), (32 * side, 8, 280)], (7, 6), over=BODY_WALL)


def _paint_heart(canvas: Canvas) -> None:
    base, apex = np.array([14.0, -2.0, 82.0]), np.array([66.0, -50.0, 36.0]) + canvas.rng.normal(0, 4.0, 3)
    axes = frame_along(apex - base)
    middle = (base + apex) / 2
    outer = canvas.vary((49.0, 35.0, 35.0), sd=0.04)
    wall = canvas.rng.uniform(9.0, 12.0)
    inner = outer - (wall - 6.0, wall, wall)
    canvas.ellipsoid(Tissue.HEART_BLOOD, middle - (34, 20, 6), canvas.vary((32.0, 34.0, 38.0), sd=0.05))
    canvas.ellipsoid(Tissue.HEART_BLOOD, np.add(base, (-22, 14, 8)), canvas.vary((34.0, 26.0, 32.0), sd=0.05))
    canvas.ellipsoid(Tissue.MYOCARDIUM, middle, outer, axes=axes)
    far = middle - 0.95 * outer[0] * axes[0]
    only = (Tissue.MYOCARDIUM,)
    canvas.ellipsoid(
        Tissue.MYOCARDIUM_BASE, far, (outer[0] * canvas.rng.uniform(0.6, 1.1), 60, 60), axes=axes, over=only
    )
    canvas.ellipsoid(Tissue.HEART_BLOOD, middle - 8.0 * axes[0], inner, axes=axes)
