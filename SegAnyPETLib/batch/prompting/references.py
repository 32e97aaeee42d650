"""The threshold of PERCIST for one image: by the reference that was given or found, or a fixed one that is named."""

from __future__ import annotations

from dataclasses import dataclass

from SegAnyPETLib.batch.lesion import Fact
from SegAnyPETLib.batch.prompting.body_frame import BodyFrame
from SegAnyPETLib.batch.prompting.candidate_rule import CandidateRule
from SegAnyPETLib.batch.prompting.reference_regions import (
    AORTA_IN_WORDS,
    FACTORS,
    LIVER_IN_WORDS,
    Organ,
    ReferenceRegion,
    find_aorta,
    find_liver,
    measure_reference,
)
from SegAnyPETLib.batch.prompting.suv_names import fact_name, in_words, typical_limit
from SegAnyPETLib.suv import SUVVolume

FALLBACK_SUVBW = 4.0
_SEARCHED = {"liver": LIVER_IN_WORDS, "blood pool": AORTA_IN_WORDS}


@dataclass(frozen=True)
class Reference:
    """What PERCIST compares with in one image.

    Attributes:
        region: What was measured; None where nothing was found and the fixed threshold stands in.
        threshold_suv: The threshold.
        words: How it came about.
        notes: What a reader must know of it.
    """

    region: ReferenceRegion | None
    threshold_suv: float
    words: str
    notes: tuple[str, ...]

    def facts(self, image: SUVVolume) -> dict[str, Fact]:
        """Place, mean, standard deviation and threshold, units in the names."""
        if self.region is None:
            return {"percist_reference": "none, fixed threshold"}
        organ, (x, y, z) = self.region.organ.replace(" ", "_"), self.region.centre_lps_mm
        return {
            "percist_reference": f"{self.region.organ}, {'given' if self.region.is_given else 'found by rule'}",
            fact_name(f"{organ}_mean", image): self.region.mean_suv,
            fact_name(f"{organ}_sd", image): self.region.sd_suv,
            f"{organ}_voxels": self.region.voxel_count,
            f"{organ}_centre_x_lps_mm": x,
            f"{organ}_centre_y_lps_mm": y,
            f"{organ}_centre_z_lps_mm": z,
        }


def percist_reference(image: SUVVolume, body: BodyFrame | None, rule: CandidateRule) -> Reference:
    """The reference that `rule` names: given, or found; for a liver that is not found the blood pool; else a fixed SUV.

    Raises:
        InputError: The given place does not hold the region within the image.
    """
    wanted: Organ = "liver" if rule.reference == "liver" else "blood pool"
    notes = [_kind_note(image)] if image.kind != "lbm" else []
    if rule.place_lps_mm is not None:
        return _by(image, measure_reference(image, wanted, rule.place_lps_mm, is_given=True), notes)
    organs: tuple[Organ, ...] = ("liver", "blood pool") if wanted == "liver" else ("blood pool",)
    for organ in organs:
        region = find_liver(image, body) if organ == "liver" else find_aorta(image, body)
        if region is not None:
            notes.append(f"The {organ} was found by rule ({_SEARCHED[organ]}). Check that its place is right.")
            return _by(image, region, notes)
        notes.append(f"No {organ} reference was found by rule ({_SEARCHED[organ]}, in at least 40 cm of body).")
    level = typical_limit(FALLBACK_SUVBW, image)
    notes.append(
        f"PERCIST has no reference in this image. A fixed threshold of {in_words(level, image)} stands in for it; the "
        "result is not PERCIST. Give the place of the reference, or another rule."
    )
    return Reference(
        None, level, f"fixed, in place of a PERCIST reference, which was not found: {wanted}", tuple(notes)
    )


def _by(image: SUVVolume, region: ReferenceRegion, notes: list[str]) -> Reference:
    of_mean, of_sd = FACTORS[region.organ]
    how = "given" if region.is_given else "found by rule"
    words = (
        f"PERCIST 1.0: {of_mean:g} times the mean {region.mean_suv:.2f} of the {region.organ} plus {of_sd:g} times its "
        f"standard deviation {region.sd_suv:.2f}, {how} at {region.centre_lps_mm} mm in LPS"
    )
    return Reference(region, region.threshold_suv, words, tuple(notes))


def _kind_note(image: SUVVolume) -> str:
    return (
        f"PERCIST states its rule for SUL (SUVlbm); here it is applied to SUV{image.kind}. Reference and lesions scale "
        "alike, so the same voxels are chosen; the numbers are not SUL."
    )
