"""One adult body in LPS mm: organs with FDG uptake at 60 minutes, and eight lesions that are hard in known ways.

Sizes and uptake are rounded means of the literature (brain 9, liver 2.2, blood 1.6, lung 0.45, muscle 0.65, fat 0.28
g/ml); the myocardium is the homogeneous fed pattern and the bladder full, because lesions beside them are where methods
fail. x to the patient's left, y to posterior, z to the head; z = 0 at the lower edge of the lungs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from SegAnyPETLib.phantom.objects import ObjectKind
from SegAnyPETLib.phantom.shapes import Cluster, Ellipsoid, Shape, ball

Point3 = tuple[float, float, float]


@dataclass(frozen=True)
class BodyPart:
    """A part painted over all earlier ones.

    Attributes:
        name: What it is.
        kind: Lesion or organ; None for outlines, which are painted but are not objects.
        shape: The whole part, its core included.
        suv: Uptake outside the core.
        core: A region inside with other uptake.
        core_suv: Its uptake.
    """

    name: str
    kind: ObjectKind | None
    shape: Shape
    suv: float
    core: Shape | None = None
    core_suv: float = 0.0


BLADDER = Ellipsoid((0.0, -20.0, -310.0), (40.0, 36.0, 34.0))
MYOCARDIUM = Ellipsoid((34.0, -30.0, 58.0), (50.0, 35.0, 37.0), turn_deg=(0.0, 25.0, -35.0))
_LEFT_VENTRICLE = Ellipsoid((34.0, -30.0, 58.0), (38.0, 23.0, 25.0), turn_deg=(0.0, 25.0, -35.0))
_CEREBRUM = Ellipsoid((0.0, 5.0, 372.0), (62.0, 78.0, 60.0))
_CEREBELLUM = Ellipsoid((0.0, 48.0, 312.0), (46.0, 28.0, 22.0))
_WHITE_MATTER = Ellipsoid((0.0, 5.0, 372.0), (48.0, 63.0, 45.0))


def _outlines() -> tuple[BodyPart, ...]:
    return (
        BodyPart("head", None, Ellipsoid((0.0, 5.0, 345.0), (76.0, 96.0, 108.0)), 0.65),
        BodyPart("neck", None, Ellipsoid((0.0, 18.0, 245.0), (58.0, 60.0, 95.0)), 0.65),
        BodyPart("right thigh", None, Ellipsoid((-84.0, 5.0, -430.0), (80.0, 84.0, 150.0), exponent=4.0), 0.65),
        BodyPart("left thigh", None, Ellipsoid((84.0, 5.0, -430.0), (80.0, 84.0, 150.0), exponent=4.0), 0.65),
        BodyPart("fat", None, Ellipsoid((0.0, 0.0, -70.0), (170.0, 112.0, 300.0), exponent=4.0), 0.28),
        BodyPart("muscle", None, Ellipsoid((0.0, 2.0, -70.0), (150.0, 94.0, 285.0), exponent=4.0), 0.65),
    )


def _organs() -> tuple[BodyPart, ...]:
    return (
        BodyPart("brain", "organ", Cluster((_CEREBRUM, _CEREBELLUM)), 9.0, core=_WHITE_MATTER, core_suv=3.5),
        BodyPart("right lung", "organ", Ellipsoid((-76.0, 0.0, 110.0), (58.0, 78.0, 110.0)), 0.45),
        BodyPart("left lung", "organ", Ellipsoid((78.0, 0.0, 112.0), (54.0, 75.0, 106.0)), 0.45),
        BodyPart("spine", "organ", Ellipsoid((0.0, 68.0, -60.0), (17.0, 17.0, 250.0), exponent=4.0), 1.5),
        BodyPart("aorta", "organ", Ellipsoid((16.0, 36.0, 20.0), (11.0, 11.0, 170.0)), 1.6),
        BodyPart("liver", "organ", Ellipsoid((-66.0, -5.0, -28.0), (78.0, 68.0, 67.0), exponent=2.4), 2.2),
        BodyPart("spleen", "organ", Ellipsoid((100.0, 30.0, -32.0), (24.0, 38.0, 52.0)), 1.9),
        BodyPart("stomach", "organ", Ellipsoid((58.0, -42.0, -58.0), (38.0, 30.0, 44.0)), 2.0),
        _kidney("right kidney", (-62.0, 44.0, -125.0)),
        _kidney("left kidney", (62.0, 44.0, -115.0)),
        BodyPart("myocardium", "organ", MYOCARDIUM, 7.0),
        BodyPart("left ventricle", "organ", _LEFT_VENTRICLE, 1.6),
        BodyPart("bladder", "organ", BLADDER, 14.0),
    )


def _kidney(name: str, centre: Point3) -> BodyPart:
    medulla = Ellipsoid(centre, (14.0, 13.0, 34.0))
    return BodyPart(name, "organ", Ellipsoid(centre, (28.0, 25.0, 55.0)), 2.5, core=medulla, core_suv=5.5)


def _lesions() -> tuple[BodyPart, ...]:
    lobes = (
        ball((38.0, 16.0, -190.0), 28.0),
        ball((50.0, 4.0, -180.0), 22.0),
        ball((28.0, 2.0, -198.0), 20.0),
        ball((42.0, 22.0, -210.0), 18.0),
    )
    mass = Ellipsoid((-84.0, 2.0, -405.0), (34.0, 30.0, 44.0), turn_deg=(15.0, 0.0, 0.0))
    necrosis = Ellipsoid((-84.0, 2.0, -405.0), (18.0, 15.0, 26.0), turn_deg=(15.0, 0.0, 0.0))
    metastasis = Ellipsoid((-88.0, -15.0, -35.0), (20.0, 12.0, 15.0), turn_deg=(20.0, 35.0, -10.0))
    return (
        BodyPart("lung nodule", "lesion", ball((88.0, -5.0, 158.0), 20.0), 8.0),
        BodyPart("liver metastasis", "lesion", metastasis, 7.0),
        BodyPart("lobulated nodal mass", "lesion", Cluster(lobes), 9.0),
        BodyPart("necrotic thigh mass", "lesion", mass, 10.0, core=necrosis, core_suv=1.2),
        BodyPart("lesion at the bladder", "lesion", ball_touching(BLADDER, axis=0, diameter_mm=24.0), 6.0),
        BodyPart("lesion at the heart", "lesion", ball_touching(MYOCARDIUM, axis=0, diameter_mm=20.0), 9.0),
        BodyPart("cervical node", "lesion", ball((40.0, 12.0, 240.0), 10.0), 6.0),
        BodyPart("bone metastasis", "lesion", ball((1.0, 69.0, -152.0), 16.0), 6.5),
    )


def ball_touching(host: Ellipsoid, *, axis: int, diameter_mm: float) -> Ellipsoid:
    """A ball outside `host` that meets it in one point, the positive end of the host's own axis 0, 1 or 2."""
    turn = Rotation.from_euler("xyz", host.turn_deg, degrees=True).as_matrix()
    distance = host.semi_axes_mm[axis] + diameter_mm / 2
    x, y, z = (float(v) for v in np.asarray(host.centre_lps_mm) + turn[:, axis] * distance)
    return ball((x, y, z), diameter_mm)


BODY_PARTS: tuple[BodyPart, ...] = (*_outlines(), *_organs(), *_lesions())
