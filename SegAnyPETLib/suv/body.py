"""Masses and surface of a body from weight, height and sex: what SUV may be normalized by."""

from __future__ import annotations

from collections.abc import Callable

from SegAnyPETLib.errors import SUVError

_BySex = Callable[[float, float], float]  # (weight in kg, height in cm) -> kg


def lean_body_mass_kg(weight_kg: float, height_cm: float, *, sex: str) -> float:
    """Lean body mass by Janmahasatian, the normalizer of SUVlbm (SUL) here; it stays sound in obesity.

    Args:
        weight_kg: Body weight.
        height_cm: Body height.
        sex: M, F, or O for other or unknown, which takes the mean of both.

    Raises:
        SUVError: The sex is none of these, or the mass is not positive.

    Source:
        Janmahasatian et al., Clin Pharmacokinet 2005; 44: 1051-1065; the DICOM SUV Type LBMJANMA.
    """

    def male(weight: float, height: float) -> float:
        return 9270.0 * weight / (6680.0 + 216.0 * _body_mass_index(weight, height))

    def female(weight: float, height: float) -> float:
        return 9270.0 * weight / (8780.0 + 244.0 * _body_mass_index(weight, height))

    return _of_sex(male, female, weight_kg, height_cm, sex=sex, name="lean body mass (Janmahasatian)")


def lean_body_mass_morgan_kg(weight_kg: float, height_cm: float, *, sex: str) -> float:
    """Lean body mass with the multiplier 120 for men, the DICOM SUV Type LBM; see `lean_body_mass_kg` for the rest."""
    return _james(weight_kg, height_cm, sex=sex, male_multiplier=120.0, name="lean body mass (Morgan)")


def lean_body_mass_james_kg(weight_kg: float, height_cm: float, *, sex: str) -> float:
    """Lean body mass with the multiplier 128 for men, the SUV Type LBMJAMES128; see `lean_body_mass_kg`."""
    return _james(weight_kg, height_cm, sex=sex, male_multiplier=128.0, name="lean body mass (James 128)")


def ideal_body_weight_kg(weight_kg: float, height_cm: float, *, sex: str) -> float:
    """Ideal body weight, the normalizer of SUVibw and the DICOM SUV Type IBW; the weight does not enter.

    Raises:
        SUVError: The sex is none of M, F, O, or the mass is not positive (a height below about 107 cm).

    Source:
        Manual of the SUV digital reference objects (IBSI-SUV): 48.0 + 1.06 (H - 152) and 45.5 + 0.91 (H - 152).
    """

    def male(_weight: float, height: float) -> float:
        return 48.0 + 1.06 * (height - 152.0)

    def female(_weight: float, height: float) -> float:
        return 45.5 + 0.91 * (height - 152.0)

    return _of_sex(male, female, weight_kg, height_cm, sex=sex, name="ideal body weight")


def body_surface_area_cm2(weight_kg: float, height_cm: float) -> float:
    """Body surface area by DuBois and DuBois, the normalizer of SUVbsa: 0.007184 W^0.425 H^0.725 m2."""
    return float(71.84 * weight_kg**0.425 * height_cm**0.725)


def _james(weight_kg: float, height_cm: float, *, sex: str, male_multiplier: float, name: str) -> float:
    def male(weight: float, height: float) -> float:
        return 1.10 * weight - male_multiplier * (weight / height) ** 2

    def female(weight: float, height: float) -> float:
        return 1.07 * weight - 148.0 * (weight / height) ** 2

    return _of_sex(male, female, weight_kg, height_cm, sex=sex, name=name)


def _of_sex(male: _BySex, female: _BySex, weight_kg: float, height_cm: float, *, sex: str, name: str) -> float:
    if sex not in ("M", "F", "O"):
        msg = f"Patient's sex should be M, F or O; found {sex!r}. State it with StatedValues(patient_sex=...)."
        raise SUVError(msg)
    masses = [formula(weight_kg, height_cm) for formula, of in ((male, "M"), (female, "F")) if sex in (of, "O")]
    mass = sum(masses) / len(masses)
    if mass <= 0:
        msg = (
            f"The {name} of {weight_kg:g} kg and {height_cm:g} cm comes out as {mass:.2f} kg: the formula does not "
            "hold for this body. Use kind='bw', or correct weight and height with StatedValues."
        )
        raise SUVError(msg)
    return mass


def _body_mass_index(weight_kg: float, height_cm: float) -> float:
    return weight_kg / (height_cm / 100.0) ** 2
