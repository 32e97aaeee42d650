"""Cases from the results of a batch run, read as the data they are: ``study.json`` and ``lesions.seg.nrrd``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from SegAnyPETLib.finetune.cohort.found_dicom import DICOMFinds
from SegAnyPETLib.finetune.cohort.manifest import NAME_SEPARATOR, CohortEntry, Quality

STUDY_JSON, MASKS = "study.json", "lesions.seg.nrrd"
SCHEMA = "seganypet-study/1"
LARGEST_BYTES = 64 << 20


def entries_of_study(folder: Path, finds: DICOMFinds, notes: list[str]) -> list[CohortEntry]:
    """A careful case of the lesions that a person has corrected, and a careless one of the others.

    Args:
        folder: Of one study of a batch run.
        finds: Where its PET series is looked up, by its UID.
        notes: What is left out is added here.
    """
    content = _content(folder / STUDY_JSON)
    if content is None:
        return []
    key = str(content["key"])
    uid = content["patient"].get("series_instance_uid")
    series = finds.series.get(str(uid)) if uid else None
    rows = [row for row in content["lesions"] if not row.get("is_physiological")]
    if not rows or not (folder / MASKS).is_file():
        notes.append(f"Study {key} has no lesion; it was left out.")
        return []
    if series is None:
        why = "its PET series is not in the folders given" if uid else "its tables were de-identified"
        notes.append(f"Study {key} was left out: {why}. Name the folder of its images, or add it by hand.")
        return []
    patient = str(content["patient"].get("patient_key") or key)
    made = []
    for quality, is_corrected, suffix in _KINDS:
        labels = [str(row.get("label", "")) for row in rows if bool(row.get("is_corrected")) == is_corrected]
        if any(not label or NAME_SEPARATOR in label for label in labels):
            notes.append(f"Study {key} has lesions whose names a manifest cannot hold; rename them.")
            return []
        if labels:
            made.append(
                CohortEntry(
                    f"{key}{suffix}",
                    patient,
                    series.place,
                    folder / MASKS,
                    quality,
                    label_names=tuple(labels),
                    series=series.uid,
                )
            )
    return made


_KINDS: tuple[tuple[Quality, bool, str], ...] = (("HQ", True, ""), ("LQ", False, "_uncorrected"))


def _content(path: Path) -> dict[str, Any] | None:  # JSON values
    """What the file says; None where it is of another program."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
        content = json.loads(raw) if len(raw) <= LARGEST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    is_ours = (
        isinstance(content, dict)
        and content.get("schema") == SCHEMA
        and isinstance(content.get("key"), str)
        and isinstance(content.get("patient"), dict)
        and isinstance(content.get("lesions"), list)
        and all(isinstance(row, dict) for row in content["lesions"])
    )
    return content if is_ours else None
