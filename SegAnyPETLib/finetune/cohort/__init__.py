"""A site's cases for fine-tuning: the list of them, opening them, checking them, splits, pictures and crops.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.finetune.cohort.cases import CohortCase, CohortLesion, load_case, make_case
    from SegAnyPETLib.finetune.cohort.checker import check_case, check_cohort
    from SegAnyPETLib.finetune.cohort.cohort_crops import CohortCrops
    from SegAnyPETLib.finetune.cohort.findings import Finding
    from SegAnyPETLib.finetune.cohort.manifest import CohortEntry, Manifest, read_manifest, write_manifest
    from SegAnyPETLib.finetune.cohort.proposing import propose_manifest
    from SegAnyPETLib.finetune.cohort.splits import propose_splits
    from SegAnyPETLib.finetune.cohort.thumbnails import Thumbnail, make_thumbnail, write_thumbnails

_HOMES = {
    "CohortCase": "cases",
    "CohortCrops": "cohort_crops",
    "CohortEntry": "manifest",
    "CohortLesion": "cases",
    "Finding": "findings",
    "Manifest": "manifest",
    "Thumbnail": "thumbnails",
    "check_case": "checker",
    "check_cohort": "checker",
    "load_case": "cases",
    "make_case": "cases",
    "make_thumbnail": "thumbnails",
    "propose_manifest": "proposing",
    "propose_splits": "splits",
    "read_manifest": "manifest",
    "write_manifest": "manifest",
    "write_thumbnails": "thumbnails",
}

__all__ = [
    "CohortCase",
    "CohortCrops",
    "CohortEntry",
    "CohortLesion",
    "Finding",
    "Manifest",
    "Thumbnail",
    "check_case",
    "check_cohort",
    "load_case",
    "make_case",
    "make_thumbnail",
    "propose_manifest",
    "propose_splits",
    "read_manifest",
    "write_manifest",
    "write_thumbnails",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
