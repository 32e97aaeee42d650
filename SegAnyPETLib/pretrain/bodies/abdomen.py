"""The organs of the abdomen and the pelvis."""

from __future__ import annotations

import numpy as np

from SegAnyPETLib.pretrain.bodies.canvas import Canvas, side_label
from SegAnyPETLib.pretrain.bodies.frame import SIDES, Habitus
from SegAnyPETLib.pretrain.bodies.tissues import BODY_WALL, LEFT, Tissue

PERITONEUM = (*BODY_WALL, Tissue.PSOAS, Tissue.PSOAS + LEFT)  # where the gut may run
WALK_STEP_MM = 22.0
HAUSTRA = 11


def paint_upper_abdomen(canvas: Canvas) -> None:
    """Liver of 1.5 to 1.8 l with its dome under the right lung, spleen, stomach, pancreas, adrenals."""
    liver = canvas.vary((71.0, 64.0, 69.0), sd=0.05)
    canvas.ellipsoid(Tissue.LIVER, (-64, -4, -26), liver, exponent=2.5, roughness=0.02)
    canvas.ellipsoid(Tissue.LIVER, (8, -45, -6), canvas.vary((62.0, 28.0, 34.0)), roughness=0.03)
    canvas.ellipsoid(Tissue.GALLBLADDER, (-40, -52, -88), canvas.vary((13.0, 13.0, 26.0), sd=0.1))
    canvas.ellipsoid(Tissue.SPLEEN, (100, 32, -32), canvas.vary((22.0, 36.0, 50.0), sd=0.08, joint_sd=0.08))
    stomach = canvas.vary((37.0, 30.0, 46.0), sd=0.1)
    canvas.ellipsoid(Tissue.STOMACH, (58, -36, -52), stomach, over=PERITONEUM)
    canvas.tube(Tissue.STOMACH, [(55, -45, -75), (15, -58, -112), (-18, -45, -105)], (24, 20, 13), over=PERITONEUM)
    lumen = stomach - canvas.rng.uniform(5, 9)
    canvas.ellipsoid(Tissue.STOMACH_LUMEN, (58, -36, -52), lumen, over=(Tissue.STOMACH,))
    head_to_tail = [(-24, -4, -118), (0, -12, -100), (40, 2, -88), (78, 20, -70)]
    canvas.tube(Tissue.PANCREAS, head_to_tail, canvas.vary((15.0, 10.0, 10.0, 8.0)), over=PERITONEUM)
    for side in SIDES:
        for lean in (-7, 7):
            place = ((40 + lean * 0.6) * side, 42 + lean, -62)
            canvas.ellipsoid(side_label(Tissue.ADRENAL, side), place, canvas.vary((3.5, 9.0, 13.0)), over=PERITONEUM)


def paint_kidneys(canvas: Canvas) -> None:
    """Kidneys of 0.15 l each with medulla and pelvis, and pieces of urine in the ureters."""
    for side in SIDES:
        centre = np.array([64.0 * side, 42.0, -126.0 + 5 * side]) + canvas.rng.normal(0, 4.0, 3)
        cortex = canvas.vary((27.0, 25.0, 54.0), sd=0.05)
        canvas.ellipsoid(side_label(Tissue.KIDNEY_CORTEX, side), centre, cortex, roughness=0.02)
        inside = (side_label(Tissue.KIDNEY_CORTEX, side), side_label(Tissue.KIDNEY_MEDULLA, side))
        towards = (-6 * side, -2, 0)
        canvas.ellipsoid(inside[1], centre + towards, cortex * (0.62, 0.55, 0.68), roughness=0.12, over=inside)
        swollen = 1.8 if canvas.rng.random() < 0.05 else 1.0
        sinus = canvas.vary((10.0, 8.0, 20.0), sd=0.15) * swollen
        pelvis = side_label(Tissue.KIDNEY_PELVIS, side)
        canvas.ellipsoid(
            pelvis, np.add(centre, (-12 * side, -4, 0)), sinus, roughness=0.15, over=(*inside, *PERITONEUM)
        )
        path = np.array(
            [np.add(centre, (-24 * side, -6, -20)), (36 * side, 22, -200), (52 * side, 26, -275), (22 * side, 10, -320)]
        )
        for _ in range(int(canvas.rng.integers(0, 4))):
            at = canvas.rng.uniform(0, 2.9)
            ends = [path[int(s)] + (s % 1) * (path[int(s) + 1] - path[int(s)]) for s in (at, min(at + 0.25, 2.99))]
            canvas.tube(side_label(Tissue.URETER, side), ends, canvas.rng.uniform(2.0, 4.5, 2), over=PERITONEUM)


def paint_gut(canvas: Canvas) -> None:
    """Duodenum, colon and rectum along their courses; jejunum and ileum as random walks of radius 10 to 15 mm."""
    over = PERITONEUM
    loop = [(-22, -38, -104), (-48, -18, -104), (-52, 2, -150), (-20, 12, -168), (22, 6, -150)]
    canvas.tube(Tissue.DUODENUM, loop, canvas.vary([12.0] * 5), over=over)
    wide = canvas.rng.uniform(0.8, 1.25)
    colon = (
        (Tissue.RIGHT_COLON, [(-100, -10, -272), (-108, 0, -190), (-104, -14, -118)], 22.0),
        (Tissue.TRANSVERSE_COLON, [(-104, -22, -118), (-55, -72, -150), (20, -78, -150), (92, -40, -92)], 18.0),
        (Tissue.LEFT_COLON, [(98, -16, -92), (112, 14, -170), (106, 8, -262), (50, 0, -290), (10, 30, -280)], 14.0),
        (Tissue.RECTUM, [(0, 48, -305), (0, 52, -345), (0, 42, -385)], 17.0),
    )
    for tissue, course, radius in colon:
        corners = np.asarray(course, dtype=np.float64)
        places = np.linspace(0, len(corners) - 1, HAUSTRA)
        points = np.stack([np.interp(places, np.arange(len(corners)), corners[:, a]) for a in range(3)], axis=1)
        points += canvas.rng.normal(0, 4.0, points.shape)
        canvas.tube(tissue, points, canvas.vary([radius * wide] * HAUSTRA, sd=0.18), over=over)
    _paint_walk(canvas, Tissue.JEJUNUM, low=(-20, -75, -215), high=(85, 5, -115), steps=26)
    _paint_walk(canvas, Tissue.ILEUM, low=(-80, -75, -285), high=(60, 5, -190), steps=30)


def _paint_walk(canvas: Canvas, tissue: Tissue, *, low: tuple[float, ...], high: tuple[float, ...], steps: int) -> None:
    place = canvas.rng.uniform(low, high)
    heading = canvas.rng.standard_normal(3)
    points = [place]
    for _ in range(steps):
        heading = 0.5 * heading / np.linalg.norm(heading) + 0.6 * canvas.rng.standard_normal(3)
        place = points[-1] + WALK_STEP_MM * heading / np.linalg.norm(heading)
        outside = (place < low) | (place > high)
        heading = np.where(outside, -heading, heading)
        points.append(np.clip(place, low, high))
    # Loops lie against one another; a gap now and then is left where the radius is small.
    canvas.tube(tissue, points, canvas.rng.uniform(8.0, 14.0, len(points)), over=PERITONEUM)


def paint_pelvis(canvas: Canvas, habitus: Habitus) -> None:
    """Bladder of 20 to 60 mm that fills upwards, prostate or uterus, testes."""
    semi = float(np.clip(canvas.rng.lognormal(np.log(34.0), 0.25), 20.0, 60.0)) * canvas.vary((1.0, 0.9, 0.85))
    floor = -346.0
    if habitus.female:
        canvas.ellipsoid(Tissue.UTERUS, (0, 12, -285), canvas.vary((25.0, 22.0, 34.0), sd=0.1), roughness=0.05)
    else:
        canvas.ellipsoid(Tissue.PROSTATE, (0, -2, -358), canvas.vary((23.0, 17.0, 18.0), sd=0.12))
        for side in SIDES:
            canvas.ellipsoid(Tissue.SKIN, (18 * side, -68, -440), (19, 24, 27), over=(Tissue.AIR, *BODY_WALL))
            canvas.ellipsoid(side_label(Tissue.TESTIS, side), (18 * side, -68, -440), canvas.vary((13.0, 16.0, 21.0)))
    canvas.ellipsoid(Tissue.BLADDER, (0, -24, floor + semi[2]), semi, roughness=0.03)
