"""The acquisition a phantom pretends to come from, and the stored value of one SUV under it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from SegAnyPETLib.errors import SUVError

Units = Literal["BQML", "CNTS", "GML", "CM2ML"]
DecayCorrection = Literal["START", "ADMIN", "NONE"]

F18_HALF_LIFE_S = 6586.2
COUNTS_PER_BQML = 0.125  # any number would do; a power of two keeps exact values exact


@dataclass(frozen=True)
class Acquisition:
    """Patient, dose and times of a phantom study; all slices are one static frame.

    Attributes:
        weight_kg: Patient weight.
        height_m: Patient height.
        sex: Patient sex as DICOM writes it.
        dose_bq: Activity at injection.
        half_life_s: Of the radionuclide, by default fluorine-18.
        injected_at: Date and time of the injection.
        uptake_s: From the injection to the start of the frame, which is the time of the series.
        frame_s: Duration of the frame.
        units: What the stored values mean: Bq/ml, counts (with Philips' private factors), g/ml, or cm2/ml.
        decay_correction: To the start of the frame, to the injection, or none.
    """

    weight_kg: float = 70.0
    height_m: float = 1.75
    sex: Literal["M", "F", "O"] = "M"
    dose_bq: float = 350e6
    half_life_s: float = F18_HALF_LIFE_S
    injected_at: datetime = datetime(2026, 3, 2, 9, 15, 0)
    uptake_s: float = 3600.0
    frame_s: float = 180.0
    units: Units = "BQML"
    decay_correction: DecayCorrection = "START"

    def __post_init__(self) -> None:
        facts = (self.weight_kg, self.height_m, self.dose_bq, self.half_life_s, self.frame_s)
        if min(facts) <= 0 or self.uptake_s < 0:
            msg = f"Expected positive weight, height, dose, half-life and frame, and uptake >= 0; found {self}."
            raise SUVError(msg)

    @property
    def started_at(self) -> datetime:
        """Start of the frame and time of the series."""
        return self.injected_at + timedelta(seconds=self.uptake_s)

    @property
    def decay_per_s(self) -> float:
        """Decay constant."""
        return math.log(2) / self.half_life_s

    @property
    def frame_decay(self) -> float:
        """Activity at the start of the frame divided by its mean over the frame."""
        x = self.decay_per_s * self.frame_s
        return x / -math.expm1(-x)

    @property
    def stored_per_suv(self) -> float:
        """What SUVbw = 1 g/ml becomes in `units`, before the rescale slope.

        Source:
            The definition SUVbw = activity / (dose / weight), both at one instant: see the decay of the dose to the
            start of the frame (START), not at all (ADMIN), or of the frame's own mean (NONE). Surface area: DuBois.
        """
        if self.units == "GML":
            return 1.0
        if self.units == "CM2ML":
            return (
                71.84 * math.pow(self.weight_kg, 0.425) * math.pow(100 * self.height_m, 0.725) / (1000 * self.weight_kg)
            )
        at_injection = self.dose_bq / (1000 * self.weight_kg)
        decayed = math.exp(-self.decay_per_s * self.uptake_s)
        bqml = {
            "ADMIN": at_injection,
            "START": at_injection * decayed,
            "NONE": at_injection * decayed / self.frame_decay,
        }[self.decay_correction]
        return bqml * COUNTS_PER_BQML if self.units == "CNTS" else bqml
