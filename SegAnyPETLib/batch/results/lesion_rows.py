"""One line of the table of lesions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from SegAnyPETLib.data.segment import LESION
from SegAnyPETLib.report import MeasuresRow
from SegAnyPETLib.suv import LesionMeasures
from SegAnyPETLib.suv.volume import SUV_UNITS

if TYPE_CHECKING:
    from SegAnyPETLib.batch.results.study_content import ContentLesion, StudyContent
    from SegAnyPETLib.suv import SUVKind

Value = str | float | int | bool | None
Row = dict[str, Value]

RULE_PREFIX, FACT_PREFIX = "rule_", "fact_"  # numbers of the study's rule, and what it measured of one lesion
ID_COLUMNS = ("study_key", "patient_key", "study_instance_uid", "series_instance_uid", "study_date")
_LAST_COLUMNS = (
    "weights_sha256",
    "rule",
    "origin",
    "is_physiological",
    "physiology",
    "is_automatic",
    "is_corrected",
    "finding",
    "region",
    "tracking_uid",
    "notices",
)


def lesion_row(content: StudyContent, lesion: ContentLesion) -> Row:
    """Column name with unit -> value. Facts of rule and lesion come last, under their prefixes."""
    terms = lesion.terminology or (LESION if lesion.physiology is None else None)
    measured = MeasuresRow(
        lesion.label,
        lesion.measures,
        model=content.model,
        score=lesion.score,
        click_count=lesion.click_count,
        volume_interval_ml=lesion.volume_interval_ml,
    )
    last: tuple[Value, ...] = (
        content.weights_sha256,
        content.rule,
        lesion.origin,
        lesion.physiology is not None,
        lesion.physiology,
        lesion.is_automatic,
        lesion.is_corrected,
        terms.type.meaning if terms is not None else None,
        terms.region.meaning if terms is not None and terms.region is not None else None,
        lesion.tracking_uid,
        " ".join(lesion.notices) or None,
    )
    row: Row = {**identity(content), "lesion_number": lesion.number, **measured.columns()}
    row |= zip(_LAST_COLUMNS, last, strict=True)
    row |= prefixed(RULE_PREFIX, content.facts) | prefixed(FACT_PREFIX, lesion.facts)
    return {name: plain(value) for name, value in row.items()}


def lesion_columns(kind: SUVKind) -> list[str]:
    """The columns every table of lesions has, in order; facts follow."""
    nowhere, unit = (0.0, 0.0, 0.0), SUV_UNITS[kind]
    nothing = LesionMeasures(
        kind=kind,
        suv_unit=unit,
        voxel_count=0,
        volume_ml=0.0,
        mtv_ml=0.0,
        suv_max=0.0,
        suv_max_lps_mm=nowhere,
        suv_mean=0.0,
        suv_sd=0.0,
        suv_median=0.0,
        suv_min=0.0,
        suv_peak=0.0,
        suv_peak_lps_mm=nowhere,
        suv_peak_is_truncated=False,
        tlg=0.0,
        tlg_unit=unit.removesuffix("/ml"),
        centroid_lps_mm=nowhere,
    )
    return [*ID_COLUMNS, "lesion_number", *MeasuresRow("", nothing).columns(), *_LAST_COLUMNS]


def identity(content: StudyContent) -> Row:
    """Whose study it is, as far as tables may say."""
    values = (
        content.key,
        content.patient_key,
        content.study_instance_uid,
        content.series_instance_uid,
        content.study_date,
    )
    return dict(zip(ID_COLUMNS, values, strict=True))


def prefixed(prefix: str, facts: Mapping[str, Value]) -> Row:
    """Facts as columns, sorted by name."""
    return {f"{prefix}{name}": plain(facts[name]) for name in sorted(facts)}


def plain(value: Value) -> Value:
    """A value JSON and Parquet can hold: a number that is none becomes empty, and NumPy's become Python's own."""
    if value is None or isinstance(value, str | bool):
        return value
    if hasattr(value, "item"):
        return plain(value.item())
    return value if math.isfinite(value) else None
