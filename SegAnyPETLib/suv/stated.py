"""Values the caller states where a header is silent or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class StatedValues:
    """What the caller knows better than the header; each value given here replaces the header's and is recorded.

    Attributes:
        patient_weight_kg: Body weight.
        patient_height_m: Body height.
        patient_sex: M, F or O.
        dose_bq: Activity given, at `administered_at`.
        half_life_s: Physical half-life of the radionuclide.
        administered_at: When the dose was given, on the clock of the scanner, without timezone.
        reference_at: The time to which Units BQML with DecayCorrection START are corrected, on the same clock.
        is_attenuation_corrected: Whether attenuation was corrected, where Corrected Image (0028,0051) is empty.
    """

    patient_weight_kg: float | None = None
    patient_height_m: float | None = None
    patient_sex: str | None = None
    dose_bq: float | None = None
    half_life_s: float | None = None
    administered_at: datetime | None = None
    reference_at: datetime | None = None
    is_attenuation_corrected: bool | None = None
