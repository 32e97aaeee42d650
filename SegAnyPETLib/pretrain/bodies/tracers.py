"""How much every tissue takes up, for one patient and one tracer, as SUVbw in g/ml."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.pretrain.bodies.tissues import LABELS, LEFT, Tissue

Preset = Literal["fdg", "psma", "sstr", "wild"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
PRESET_SHARES = (0.60, 0.15, 0.08, 0.17)
LIVER_BLOOD_CORRELATION = 0.82
CALIBRATION_SD = 0.08  # between scanners; Koopman et al. 2019 find 6 to 8 %

_T = Tissue
_Table = dict[Tissue, tuple[float, float]]

_FDG: _Table = {  # mean, SD between subjects
    _T.SKIN: (0.35, 0.08), _T.FAT: (0.28, 0.08), _T.MUSCLE: (0.65, 0.15), _T.BONE: (0.5, 0.1), _T.SHAFT: (0.46, 0.1),
    _T.GREY: (9.0, 2.2), _T.VENTRICLE: (1.5, 0.4), _T.CSF: (0.8, 0.2), _T.CORD: (1.9, 0.4),
    _T.EYE: (0.7, 0.2), _T.PITUITARY: (2.5, 0.8), _T.LACRIMAL: (1.8, 0.6), _T.PAROTID: (1.8, 0.6),
    _T.SUBMANDIBULAR: (2.0, 0.6), _T.SUBLINGUAL: (3.3, 1.3), _T.TONSIL: (3.45, 1.4), _T.THYROID: (1.2, 0.3),
    _T.VOCAL_CORD: (1.4, 0.5), _T.LUNG: (0.45, 0.12), _T.OESOPHAGUS: (1.6, 0.4), _T.GALLBLADDER: (1.0, 0.3),
    _T.STOMACH: (2.0, 0.7), _T.STOMACH_LUMEN: (0.9, 0.3), _T.PANCREAS: (1.6, 0.4), _T.ADRENAL: (1.7, 0.5),
    _T.KIDNEY_CORTEX: (2.5, 0.6), _T.KIDNEY_MEDULLA: (5.5, 1.3), _T.PROSTATE: (1.8, 0.5), _T.UTERUS: (2.0, 0.8),
    _T.TESTIS: (2.57, 0.56), _T.BREAST: (0.8, 0.25),
}  # fmt: skip
_PSMA: _Table = {
    _T.SKIN: (0.4, 0.1), _T.FAT: (0.3, 0.1), _T.MUSCLE: (0.6, 0.15), _T.BONE: (0.4, 0.1), _T.VERTEBRA: (0.6, 0.2),
    _T.MARROW: (0.5, 0.15), _T.SHAFT: (0.3, 0.1), _T.LACRIMAL: (6.0, 2.0), _T.PAROTID: (13.0, 3.5),
    _T.SUBMANDIBULAR: (13.0, 3.5), _T.SUBLINGUAL: (6.0, 2.0), _T.THYROID: (1.2, 0.4), _T.LIVER: (5.0, 1.5),
    _T.SPLEEN: (7.0, 2.8), _T.KIDNEY_CORTEX: (40.0, 9.0), _T.KIDNEY_MEDULLA: (22.0, 6.0), _T.DUODENUM: (9.0, 3.0),
    _T.JEJUNUM: (5.0, 2.0), _T.GALLBLADDER: (4.0, 3.0), _T.STOMACH: (1.8, 0.5), _T.PANCREAS: (2.2, 0.6),
    _T.ADRENAL: (3.0, 1.0), _T.PROSTATE: (2.5, 0.8),
}  # fmt: skip
_SSTR: _Table = {
    _T.SKIN: (0.4, 0.1), _T.FAT: (0.3, 0.1), _T.MUSCLE: (0.7, 0.2), _T.BONE: (0.4, 0.1), _T.VERTEBRA: (0.9, 0.2),
    _T.MARROW: (0.8, 0.2), _T.PITUITARY: (7.0, 3.0), _T.PAROTID: (2.5, 0.8), _T.SUBMANDIBULAR: (3.0, 1.0),
    _T.THYROID: (3.0, 1.2), _T.LIVER: (7.0, 2.0), _T.SPLEEN: (20.0, 6.5), _T.KIDNEY_CORTEX: (14.0, 4.0),
    _T.KIDNEY_MEDULLA: (9.0, 3.0), _T.ADRENAL: (12.0, 4.5), _T.STOMACH: (4.0, 1.5), _T.PANCREAS: (4.5, 1.8),
    _T.DUODENUM: (5.0, 1.5), _T.JEJUNUM: (3.5, 1.2), _T.PROSTATE: (2.5, 0.8), _T.UTERUS: (2.5, 0.8),
}  # fmt: skip
_PEPTIDE_BRAIN: _Table = {  # neither PSMA nor SSTR ligands enter the brain
    _T.GREY: (0.15, 0.05), _T.WHITE: (0.12, 0.04), _T.NUCLEI: (0.15, 0.05), _T.CEREBELLUM: (0.2, 0.06),
    _T.VENTRICLE: (0.15, 0.05), _T.CSF: (0.2, 0.06), _T.LUNG: (0.45, 0.12), _T.BREAST: (0.6, 0.2),
}  # fmt: skip
_SEGMENTS = (_T.DUODENUM, _T.JEJUNUM, _T.ILEUM, _T.RIGHT_COLON, _T.TRANSVERSE_COLON, _T.LEFT_COLON, _T.RECTUM)


def draw_preset(rng: np.random.Generator) -> Preset:
    """FDG in 60 % of scenes, PSMA 15 %, SSTR 8 %, wild contrasts in the rest."""
    return PRESETS[int(rng.choice(len(PRESETS), p=PRESET_SHARES))]


def draw_uptake(rng: np.random.Generator, preset: Preset, *, fat_mm: float = 15.0) -> NDArray[np.float32]:
    """SUV of every label, (128,) float32; the two of a pair take up the same.

    Args:
        rng: Source of everything that varies.
        preset: "fdg", "psma", "sstr", or "wild": every tissue log-uniform in 0.1 to 20 on its own.
        fat_mm: Thickness of the fat shell; SUVbw of the obese is 25 to 30 % higher.

    Source:
        Wang et al. 2007 (atlas of normal FDG uptake, n = 98: cerebellum, tonsils, sublingual glands, testes); Boktor et
        al. 2013 (liver 2.2 ± 0.44 and blood 1.56 ± 0.38, r = 0.82); the other means are rounded design values.
    """
    if preset == "wild":
        suv = np.exp(rng.uniform(np.log(0.1), np.log(20.0), LEFT))
        suv[Tissue.AIRWAY] = rng.uniform(0.0, 0.3)
    else:
        suv = _draw_fdg(rng) if preset == "fdg" else _draw_peptide(rng, _PSMA if preset == "psma" else _SSTR)
        suv *= np.interp(fat_mm, (5.0, 15.0, 45.0), (0.95, 1.0, 1.25))
        suv *= max(0.7, rng.normal(1.0, CALIBRATION_SD))
    suv[Tissue.AIR] = rng.uniform(0.0, 0.03)
    return np.tile(suv, LABELS // LEFT).astype(np.float32)


def _normal(rng: np.random.Generator, mean: float, sd: float) -> float:
    """A normal draw that stays positive: not below a fifth of the mean."""
    return max(0.2 * mean, float(rng.normal(mean, sd)))


def _draw_table(rng: np.random.Generator, *tables: _Table) -> NDArray[np.float64]:
    suv = np.full(LEFT, 0.5)
    for table in tables:
        for tissue, (mean, sd) in table.items():
            suv[tissue] = _normal(rng, mean, sd)
    suv[Tissue.AIRWAY] = rng.uniform(0.1, 0.3)
    suv[[Tissue.BROWN_FAT, Tissue.INJECTION]] = 0.5 * (suv[Tissue.FAT] + suv[Tissue.MUSCLE])
    suv[[Tissue.PSOAS, Tissue.TRAPEZIUS]] = suv[Tissue.MUSCLE]
    if rng.random() < 0.05:
        suv[Tissue.INJECTION] = np.exp(rng.uniform(np.log(10.0), np.log(60.0)))
    return suv


def _draw_fdg(rng: np.random.Generator) -> NDArray[np.float64]:
    suv = _draw_table(rng, _FDG)
    first, second = rng.standard_normal(2)
    blood_z = LIVER_BLOOD_CORRELATION * first + np.sqrt(1 - LIVER_BLOOD_CORRELATION**2) * second
    suv[Tissue.LIVER] = max(0.8, 2.2 + 0.44 * first)
    blood = max(0.6, 1.56 + 0.38 * blood_z)
    suv[[Tissue.AORTA, Tissue.VEIN, Tissue.HEART_BLOOD]] = blood
    suv[Tissue.SPLEEN] = suv[Tissue.LIVER] * _normal(rng, 0.85, 0.12)
    suv[Tissue.WHITE] = suv[Tissue.GREY] / rng.uniform(2.3, 3.0)
    suv[Tissue.CEREBELLUM] = suv[Tissue.GREY] * _normal(rng, 0.89, 0.08)
    suv[Tissue.NUCLEI] = suv[Tissue.GREY] * rng.uniform(0.95, 1.15)
    stimulated = rng.random() < 0.10  # by G-CSF
    suv[Tissue.VERTEBRA] = rng.uniform(3.0, 6.0) if stimulated else _normal(rng, 1.5, 0.35)
    suv[Tissue.MARROW] = suv[Tissue.VERTEBRA] * rng.uniform(0.65, 0.9)
    suv[[Tissue.MYOCARDIUM, Tissue.MYOCARDIUM_BASE]] = _draw_myocardium(rng, blood)
    for segment in _SEGMENTS:
        low, high = ((1.0, 2.0), (2.5, 5.0), (5.0, 12.0))[int(rng.choice(3, p=(0.65, 0.25, 0.10)))]
        suv[segment] = rng.uniform(low, high)
    furosemide = rng.random() < 0.15
    suv[Tissue.BLADDER] = _normal(rng, 2.0, 0.8) if furosemide else np.clip(rng.lognormal(2.4, 0.65), 1.5, 60.0)
    suv[[Tissue.KIDNEY_PELVIS, Tissue.URETER]] = np.exp(rng.uniform(np.log(3.0), np.log(30.0), 2))
    if rng.random() < 0.10:
        suv[Tissue.THYROID] = rng.uniform(3.0, 6.0)
    if rng.random() < 0.05:
        suv[Tissue.BROWN_FAT] = rng.uniform(3.0, 12.0)
    if rng.random() < 0.05:
        suv[rng.choice([Tissue.PSOAS, Tissue.TRAPEZIUS])] = rng.uniform(2.0, 5.0)
    if rng.random() < 0.10:
        suv[Tissue.VOCAL_CORD] = rng.uniform(2.0, 4.0)
    return suv


def _draw_myocardium(rng: np.random.Generator, blood: float) -> tuple[float, float]:
    """Uptake of the apex and of the base; patterns as after a fast overnight (none 55, patchy 28, homogeneous 18 %)."""
    pattern = rng.choice(3, p=(0.50, 0.27, 0.23))
    if pattern == 0:
        level = float(blood * rng.uniform(0.7, 0.9))
        return level, level
    if pattern == 1:
        return float(blood * rng.uniform(0.7, 1.5)), float(rng.uniform(2.0, 7.0))
    level = float(rng.uniform(6.0, 15.0))
    return level, level * float(rng.uniform(0.85, 1.1))


def _draw_peptide(rng: np.random.Generator, table: _Table) -> NDArray[np.float64]:
    suv = _draw_table(rng, _PEPTIDE_BRAIN, table)
    suv[[Tissue.AORTA, Tissue.VEIN, Tissue.HEART_BLOOD]] = _normal(rng, 1.5, 0.4)
    suv[[Tissue.MYOCARDIUM, Tissue.MYOCARDIUM_BASE]] = _normal(rng, 1.3, 0.3)
    suv[[Tissue.TONSIL, Tissue.VOCAL_CORD, Tissue.OESOPHAGUS]] = rng.uniform(1.0, 2.5, 3)
    for segment in (Tissue.ILEUM, Tissue.RIGHT_COLON, Tissue.TRANSVERSE_COLON, Tissue.LEFT_COLON, Tissue.RECTUM):
        suv[segment] = rng.lognormal(np.log(1.5), 0.5)
    suv[Tissue.STOMACH_LUMEN] = 0.5 * suv[Tissue.STOMACH]
    suv[Tissue.BLADDER] = np.exp(rng.uniform(np.log(5.0), np.log(60.0)))
    suv[[Tissue.KIDNEY_PELVIS, Tissue.URETER]] = np.exp(rng.uniform(np.log(5.0), np.log(40.0), 2))
    return suv
