"""Type, unit and meaning of the columns of the tables over all studies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from SegAnyPETLib.batch.results.lesion_rows import FACT_PREFIX, RULE_PREFIX, Row, Value
from SegAnyPETLib.report.table import DEFINITIONS

ColumnType = Literal["text", "number", "integer", "yes or no"]

_TEXT = {
    "study_key",
    "patient_key",
    "study_instance_uid",
    "series_instance_uid",
    "study_date",
    "label",
    "model",
    "program",
    "weights_sha256",
    "rule",
    "origin",
    "physiology",
    "finding",
    "region",
    "tracking_uid",
    "notices",
    "notes",
    "not_found",
    "suv_kind",
    "state",
    "reason",
}
# Longest first: an ending must not be taken for a shorter one.
_UNITS = {
    "_cm2_per_ml": "cm2/ml",
    "_g_per_ml": "g/ml",
    "_lps_mm": "mm",
    "_percent": "%",
    "_bqml": "Bq/ml",
    "_cm2": "cm2",
    "_bq": "Bq",
    "_kg": "kg",
    "_ml": "ml",
    "_mm": "mm",
    "_g": "g",
    "_s": "s",
}
_MEANINGS = {
    "without_physiological": "without what a rule flagged as probably normal uptake; a voxel counts once",
    "_all_": "with what a rule flagged as probably normal uptake; a voxel counts once",
    "dmax_centroids": "largest distance between the centroids of two lesions (Cottereau et al. 2020)",
    "dmax_voxels": "largest distance between the centres of two voxels of lesions",
    "_peak_": DEFINITIONS["suv_peak"],
    "_mean_": DEFINITIONS["suv_mean"],
    "_sd_": DEFINITIONS["suv_sd"],
    "mtv_low": DEFINITIONS["mtv_low and mtv_high"],
    "mtv_high": DEFINITIONS["mtv_low and mtv_high"],
    "mtv_": DEFINITIONS["mtv"],
    "tlg_": DEFINITIONS["tlg"],
    "score": DEFINITIONS["score"],
    "_lps_mm": DEFINITIONS["positions"],
    "study_key": "stands for the study; the name of its folder",
    "patient_key": "the same for all studies of one patient",
    "lesion_number": "label value in NIfTI, segment number in DICOM SEG, number on the report page",
    "is_physiological": "a rule says that this is probably normal uptake",
    "is_automatic": "no person steered the segmentation",
    "is_corrected": "a person has changed the mask",
    RULE_PREFIX: "reference or threshold of the rule that chose the lesions",
    FACT_PREFIX: "what the rule measured of this lesion",
}


def ordered_columns(fixed: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """The fixed columns, then all others that a row has, sorted: the same ones whatever the order of the rows."""
    others = {name for row in rows for name in row} - set(fixed)
    return [*fixed, *sorted(others)]


def column_type(name: str, values: Iterable[Value]) -> ColumnType:
    """By name for what we write ourselves; by value for facts, whose names are those of a rule."""
    if name in _TEXT:
        return "text"
    if not name.startswith((RULE_PREFIX, FACT_PREFIX)):
        if name.startswith(("is_", "has_")) or name == "peak_sphere_leaves_image":
            return "yes or no"
        return "integer" if "_count" in name or name == "lesion_number" else "number"
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {bool}:
        return "yes or no"
    if kinds and kinds <= {int}:
        return "integer"
    return "number" if kinds <= {int, float} else "text"


def unit_of(name: str) -> str:
    """Unit in the column's name; empty where it has none."""
    if name.startswith("seconds_"):
        return "s"
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")


def meaning_of(name: str) -> str:
    """What the column says, as far as its name does not; empty for most."""
    return "; ".join(dict.fromkeys(text for part, text in _MEANINGS.items() if _holds(name, part)))


def _holds(name: str, part: str) -> bool:
    return part in name if part.startswith("_") or part == "without_physiological" else name.startswith(part)
