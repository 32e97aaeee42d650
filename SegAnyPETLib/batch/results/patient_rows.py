"""One line of the table of patients: the burden of one study, with and without what is probably normal uptake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from SegAnyPETLib.batch.results.farthest import farthest_apart_mm, outermost_voxels_lps_mm
from SegAnyPETLib.batch.results.lesion_rows import ID_COLUMNS, RULE_PREFIX, Row, Value, identity, plain, prefixed
from SegAnyPETLib.batch.results.study_content import PROGRAM
from SegAnyPETLib.suv.volume import SUV_UNITS

if TYPE_CHECKING:
    from SegAnyPETLib.batch.results.study_content import ContentLesion, StudyContent
    from SegAnyPETLib.suv import SUVKind, SUVVolume

ALL, WITHOUT_PHYSIOLOGICAL = "all", "without_physiological"
SECONDS_PREFIX = "seconds_"
WAITING = "waiting"  # a step of the run in which other studies are worked on; no part of the total
_LAST_COLUMNS = (
    "physiological_count",
    "corrected_count",
    "not_found_count",
    "not_found",
    "rule",
    "notes",
    "model",
    "weights_sha256",
    "program",
    "voxel_volume_ml",
    "seconds_total",
)


def patient_row(content: StudyContent) -> Row:
    """Column name with unit -> value. A study without a lesion has zeros, and no SUV.

    A voxel in several lesions counts once in volume, TLG and mean. SUVpeak is the highest one of a lesion.

    Source:
        Dmax, the distance between the two lesions farthest apart, here between their centroids: Cottereau et al. 2020,
        J Nucl Med 61, 40-45. Between voxels it is larger, and it has a name of its own.
    """
    image, lesions = content.image, content.lesions
    kept = [lesion for lesion in lesions if lesion.physiology is None]
    row: Row = {**identity(content), "suv_kind": image.kind}
    everything = _burden(image, lesions)
    without = everything if len(kept) == len(lesions) else _burden(image, kept)
    row |= zip(_burden_columns(image.kind, WITHOUT_PHYSIOLOGICAL), without, strict=True)
    row |= zip(_burden_columns(image.kind, ALL), everything, strict=True)
    last: tuple[Value, ...] = (
        len(lesions) - len(kept),
        sum(lesion.is_corrected for lesion in lesions),
        len(content.not_found),
        "; ".join(content.not_found) or None,
        content.rule,
        " ".join(content.notes) or None,
        content.model,
        content.weights_sha256,
        PROGRAM,
        image.grid.voxel_volume_ml,
        sum(seconds for step, seconds in content.seconds.items() if step != WAITING),
    )
    row |= zip(_LAST_COLUMNS, last, strict=True)
    row |= prefixed(SECONDS_PREFIX, content.seconds) | prefixed(RULE_PREFIX, content.facts)
    return {name: plain(value) for name, value in row.items()}


def patient_columns(kind: SUVKind) -> list[str]:
    """The columns every table of patients has, in order; seconds of each step and facts of the rule follow."""
    burdens = [*_burden_columns(kind, WITHOUT_PHYSIOLOGICAL), *_burden_columns(kind, ALL)]
    return [*ID_COLUMNS, "suv_kind", *burdens, *_LAST_COLUMNS]


def _burden_columns(kind: SUVKind, which: str) -> list[str]:
    unit = SUV_UNITS[kind]
    suv, per = f"suv{kind}", unit.replace("/", "_per_")
    return [
        f"lesion_count_{which}",
        f"mtv_{which}_ml",
        f"tlg_{which}_{unit.removesuffix('/ml')}",
        f"{suv}_max_{which}_{per}",
        f"{suv}_mean_{which}_{per}",
        f"{suv}_peak_{which}_{per}",
        f"dmax_centroids_{which}_mm",
        f"dmax_voxels_{which}_mm",
    ]


def _burden(image: SUVVolume, lesions: Sequence[ContentLesion]) -> tuple[Value, ...]:
    """In the order of `_burden_columns`."""
    if not lesions:
        return (0, 0.0, 0.0, None, None, None, 0.0, 0.0)
    union = np.zeros(image.grid.shape_kji, dtype=bool)
    for lesion in lesions:
        union |= lesion.mask
    values = image.array[union].astype(np.float64)
    mtv_ml = len(values) * image.grid.voxel_volume_ml
    outermost = outermost_voxels_lps_mm((lesion.mask for lesion in lesions), grid=image.grid)
    return (
        len(lesions),
        mtv_ml,
        float(values.mean()) * mtv_ml,
        float(values.max()),
        float(values.mean()),
        max(lesion.measures.suv_peak for lesion in lesions),
        farthest_apart_mm([lesion.measures.centroid_lps_mm for lesion in lesions]),
        farthest_apart_mm(outermost),
    )
