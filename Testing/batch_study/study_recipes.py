"""What each study of the collection is: whose header style, which geometry, what is beside it, and what is wrong.

Everything follows from the number of the study and the seed of the collection. Headers and geometry go round in steps
that have no common divisor, so that a few dozen studies already hold most pairs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from pydicom.uid import generate_uid

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import Acquisition, Noise, Phantom, PhantomObject, centred_grid, sphere_profile
from SegAnyPETLib.phantom.shapes import Ellipsoid, ball, bounding_box, truth_mask, voxel_fraction

Vendor = Literal["GE", "Siemens", "Philips"]
Times = Literal["plain", "beds", "late series", "before midnight"]
Factors = Literal["both", "SUV only", "activity only"]

BODY_SUV, FWHM_MM = 0.8, 6.0
EXTENT_IJK_MM = (216.0, 200.0, 184.0)
BODY = Ellipsoid((0.0, 0.0, 0.0), (96.0, 88.0, 80.0), exponent=4.0)
APART_MM, INSIDE_MM = 22.0, 18.0  # between the surfaces of two lesions, and from a surface to the body's
MOST_LESIONS = 12


@dataclass(frozen=True)
class HeaderStyle:
    """How one vendor's header says what SUV needs."""

    vendor: Vendor
    units: Literal["BQML", "CNTS", "GML", "CM2ML"] = "BQML"
    decay_correction: Literal["START", "ADMIN", "NONE"] = "START"
    times: Times = "plain"
    factors: Factors = "both"

    def __str__(self) -> str:
        parts = [self.vendor, self.units]
        parts += [self.decay_correction] if self.units in ("BQML", "CNTS") else []
        parts += [self.times] if self.times != "plain" else []
        parts += [self.factors] if self.units == "CNTS" and self.factors != "both" else []
        return ", ".join(parts)


HEADER_STYLES = (
    HeaderStyle("GE"),
    HeaderStyle("Siemens", times="beds"),
    HeaderStyle("Philips", units="CNTS"),
    HeaderStyle("GE", times="late series"),
    HeaderStyle("Siemens", times="late series"),
    HeaderStyle("Philips", units="CNTS", factors="activity only"),
    HeaderStyle("GE", decay_correction="ADMIN"),
    HeaderStyle("Siemens", decay_correction="NONE"),
    HeaderStyle("Philips", times="before midnight"),
    HeaderStyle("GE", units="GML"),
    HeaderStyle("Siemens", times="before midnight"),
    HeaderStyle("Philips", units="CNTS", factors="SUV only"),
    HeaderStyle("GE", units="CM2ML"),
    HeaderStyle("Siemens"),
    HeaderStyle("Philips", units="CNTS", decay_correction="ADMIN", factors="activity only"),
    HeaderStyle("GE", times="before midnight"),
    HeaderStyle("Siemens", units="GML"),
    HeaderStyle("Philips"),
)

# Specific Character Set and a name in it, some of them the examples of PS3.5 annexes H and I.
CHARACTER_SETS: tuple[tuple[str | list[str], str], ...] = (
    ("ISO_IR 100", "Jörgensen^Åse"),
    ("ISO_IR 192", "Müller^Zoë=山田^太郎"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO_IR 144", "Люксембург^Роза"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("ISO_IR 126", "Διονύσιος^Ζήνων"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 101", "Wałęsa^Żofia"),
    ("", "Plain^Name"),
)

# Columns: patient axes of the table's own x, y, z, for supine head first, supine feet first, prone head first.
POSTURES = {"HFS": (1.0, 1.0, 1.0), "FFS": (-1.0, 1.0, -1.0), "HFP": (-1.0, -1.0, 1.0)}
SPACINGS_IJK_MM = ((4.07, 4.07, 5.0), (4.5, 4.5, 4.5), (4.0, 5.0, 6.0), (3.65, 3.65, 6.5), (5.5, 4.0, 5.2))
ORIENTATIONS = ("axial", "oblique", "coronal", "sagittal")
LAYOUTS = ("flat", "nested", "no suffix", "zip", "nested", "media", "no suffix")
COMPANIONS = ((), ("CT",), ("CT", "uncorrected"), ("projections",), (), ("CT", "capture"), ("CT", "projections"))
SYNTAXES = ("explicit", "implicit", "explicit", "RLE", "explicit")

FAULTS = (
    "no lesions",
    "two reconstructions",
    "missing slice",
    "no weight",
    "not corrected",
    "truncated file",
    "no PET",
    "mixed patients",
    "no dose",
    "corrupt pixels",
    "doubled slice",
    "not DICOM",
    "gated",
    "intercept",
    "slope not a number",
    "empty folder",
    "slope too large",
    "no permission",
)
BLOCK = 50  # studies in which every fault comes once; the others are sound


@dataclass(frozen=True)
class Recipe:
    """One study of the collection; `seed` and `number` decide everything that is drawn."""

    seed: int
    number: int
    style: HeaderStyle
    fault: str | None
    layout: str
    companions: tuple[str, ...]
    syntax: str
    orientation: Literal["axial", "coronal", "sagittal", "oblique"]
    posture: str
    slices_reversed: bool
    spacing_ijk_mm: tuple[float, float, float]
    lesion_count: int
    is_noisy: bool
    character_set: int
    patient: int

    @property
    def name(self) -> str:
        """A folder name that sorts by number."""
        return f"study-{self.number:04d}"

    @property
    def patient_id(self) -> str:
        """Patient ID (0010,0020)."""
        return f"P{self.seed}-{self.patient:05d}"

    def uid(self, role: str) -> str:
        """A UID of this study, the same whenever it is made."""
        return str(generate_uid(entropy_srcs=[str(self.seed), str(self.number), role]))

    def random(self, purpose: str) -> random.Random:
        """Numbers of its own for each purpose, so that one more draw changes nothing elsewhere."""
        return random.Random(f"{self.seed}/{self.number}/{purpose}")

    @property
    def acquisition(self) -> Acquisition:
        """Patient, dose and times; the two studies of a patient are half a year apart."""
        rng = random.Random(f"{self.seed}/patient {self.patient}")
        weight, height = rng.randint(450, 1150) / 10, rng.randint(150, 195) / 100
        day = datetime(2024, 1, 8) + timedelta(days=rng.randrange(300) + (183 if self.number > self.patient else 0))
        minute = 23 * 60 + 25 if self.style.times == "before midnight" else rng.randrange(7 * 60, 16 * 60)
        return Acquisition(
            weight_kg=weight,
            height_m=height,
            sex=rng.choice(("M", "F", "O")),
            dose_bq=self.random("dose").randrange(180, 420) * 1e6,
            injected_at=day + timedelta(minutes=minute),
            uptake_s=self.random("uptake").randrange(50, 80) * 60.0,
            frame_s=self.random("frame").choice((90.0, 120.0, 180.0)),
            units=self.style.units,
            decay_correction=self.style.decay_correction,
        )

    @property
    def grid(self) -> Grid:
        """Around the isocentre, so large that it holds the body; left-handed where slices are reversed."""
        shape = tuple(round(e / s) for e, s in zip(EXTENT_IJK_MM, self.spacing_ijk_mm, strict=True))[::-1]
        grid = centred_grid((shape[0], shape[1], shape[2]), self.spacing_ijk_mm, orientation=self.orientation)
        turned = np.diag(POSTURES[self.posture]) @ np.asarray(grid.direction)
        if self.slices_reversed:
            turned[:, 2] *= -1
        half = (np.asarray(shape[::-1]) - 1) / 2 * np.asarray(self.spacing_ijk_mm)
        x, y, z = (float(v) for v in -turned @ half)
        rows = tuple((float(a), float(b), float(c)) for a, b, c in turned)
        return Grid((shape[0], shape[1], shape[2]), self.spacing_ijk_mm, (x, y, z), rows)

    @property
    def lesions(self) -> tuple[tuple[Ellipsoid, float], ...]:
        """Balls in the body, well apart, and their SUV before blurring."""
        rng = self.random("lesions")
        found: list[tuple[Ellipsoid, float]] = []
        for _ in range(4000):
            if len(found) == self.lesion_count:
                break
            diameter = rng.uniform(15.0, 27.0)
            room = [a - INSIDE_MM - diameter / 2 for a in BODY.semi_axes_mm]
            x, y, z = (rng.uniform(-0.8 * r, 0.8 * r) for r in room)
            near = [
                np.linalg.norm(np.subtract(other.centre_lps_mm, (x, y, z))) - other.semi_axes_mm[0] - diameter / 2
                for other, _ in found
            ]
            if not near or min(near) > APART_MM:
                found.append((ball((x, y, z), diameter), rng.uniform(7.0, 15.0)))
        return tuple(found)

    def phantom(self) -> Phantom:
        """The truth: each lesion is the closed form of a blurred ball, in a body of one uptake."""
        grid, lesions = self.grid, self.lesions
        box, fraction = voxel_fraction(BODY, grid, samples=2)
        activity = np.zeros(grid.shape_kji)
        activity[box.slices] = BODY_SUV * fraction
        for shape, suv in lesions:
            _add_blurred(activity, grid, shape, suv - BODY_SUV)
        objects = tuple(_object(number, shape, suv, grid) for number, (shape, suv) in enumerate(lesions, start=1))
        values = activity.astype(np.float32)
        if self.is_noisy:
            values = Noise(seed=self.number, relative_sd=0.05).added_to(values, grid=grid)
        return Phantom(values, grid, objects, FWHM_MM)


def _add_blurred(activity: np.ndarray, grid: Grid, shape: Ellipsoid, height: float) -> None:
    """A ball after the point spread; beyond four standard deviations from its surface nothing is left to add."""
    radius = shape.semi_axes_mm[0]
    box = bounding_box(ball(shape.centre_lps_mm, 2 * radius + 4 * FWHM_MM), grid)
    index = np.moveaxis(np.indices(box.shape_kji), 0, -1) + np.asarray(box.start_kji)
    distance = np.linalg.norm(grid.kji_to_lps(index) - np.asarray(shape.centre_lps_mm), axis=-1)
    activity[box.slices] += height * sphere_profile(distance, diameter_mm=2 * radius, fwhm_mm=FWHM_MM)


def _object(number: int, shape: Ellipsoid, suv: float, grid: Grid) -> PhantomObject:
    mask, _ = truth_mask(shape, grid, samples=4)
    volume = shape.volume_ml
    return PhantomObject(f"lesion {number}", "lesion", mask, shape.centre_lps_mm, suv, volume or 0.0)


def plan(studies: int, *, seed: int, faults: tuple[str, ...] = FAULTS, block: int = BLOCK) -> list[Recipe]:
    """The recipes of a collection.

    Args:
        studies: How many.
        seed: Another one gives other lesions, patients and UIDs; faults and styles stay where they are.
        faults: Those to have; in every block of `block` studies each comes once, spread evenly.
        block: At least as long as `faults`.
    """
    places = {int((n + 0.5) * block / len(faults)): fault for n, fault in enumerate(faults)} if faults else {}
    return [_recipe(number, seed=seed, fault=places.get(number % block)) for number in range(studies)]


def _style(number: int, fault: str | None) -> HeaderStyle:
    """Their turn; what is missing must be needed, as it is for activity and not for values that are SUV already."""
    turn = HEADER_STYLES[number % len(HEADER_STYLES) :] + HEADER_STYLES
    return next(style for style in turn if style.units == "BQML" or fault not in ("no weight", "no dose"))


def _recipe(number: int, *, seed: int, fault: str | None) -> Recipe:
    rng = random.Random(f"{seed}/{number}")
    # Every eighth patient has the next study too.
    patient = number - 1 if number % 8 == 4 and fault is None else number
    layout = LAYOUTS[number % len(LAYOUTS)]
    companions = COMPANIONS[number % len(COMPANIONS)]
    if fault is not None:
        layout, companions = ("nested" if number % 2 else "flat"), (("CT",) if number % 3 == 0 else ())
    return Recipe(
        seed=seed,
        number=number,
        style=_style(number, fault),
        fault=fault,
        layout=layout,
        companions=companions,
        syntax=SYNTAXES[number % len(SYNTAXES)],
        orientation=ORIENTATIONS[(number + number // len(HEADER_STYLES)) % len(ORIENTATIONS)],
        posture=tuple(POSTURES)[number // 2 % 3],
        slices_reversed=number % 5 in (1, 2),
        spacing_ijk_mm=SPACINGS_IJK_MM[number % len(SPACINGS_IJK_MM)],
        lesion_count=0 if fault == "no lesions" else rng.choice((1, 1, 2, 2, 3, 4, 5, 7, MOST_LESIONS)),
        is_noisy=number % 2 == 1,
        character_set=patient % len(CHARACTER_SETS),
        patient=patient,
    )
