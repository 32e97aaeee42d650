"""Write the result of a study, and write it anew when a person has corrected it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from SegAnyPETLib.batch.results.deidentified_content import deidentified_content, run_secret
from SegAnyPETLib.batch.results.lesion_rows import FACT_PREFIX, Row, lesion_row, plain
from SegAnyPETLib.batch.results.patient_rows import patient_row
from SegAnyPETLib.batch.results.stored_lesions import load_lesions
from SegAnyPETLib.batch.results.study_content import PROGRAM, ContentLesion, StudyContent, content_of_result
from SegAnyPETLib.batch.results.study_files import write_files
from SegAnyPETLib.batch.results.study_folder import SCHEMA, StudyJSON, new_study_folder, read_study_json, seal
from SegAnyPETLib.batch.results.study_notes import NOTHING_FOUND
from SegAnyPETLib.errors import GeometryError, InputError
from SegAnyPETLib.suv import compute_measures

if TYPE_CHECKING:
    from SegAnyPETLib.batch.lesion import StudyResult
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.data import PETSeries, Segment
    from SegAnyPETLib.suv import SUVVolume

_BY_HAND = "drawn by a person"
_LIBRARIES = ("numpy", "pydicom", "highdicom", "SimpleITK", "torch")


def write_study(
    folder: Path | str,
    result: StudyResult,
    *,
    settings: BatchSettings,
    written_at: datetime | None = None,
    salt: bytes = b"",
) -> dict[str, str]:
    """Write everything about one study into its folder, whole or not at all; an older result is replaced.

    The same result gives the same bytes, UIDs included: its time is that of the older files where they show the same.

    Args:
        folder: Its last part is what names the study; parents are made.
        result: What was found; without a lesion there are `study.json` and the page only.
        settings: Formats, privacy, and the fingerprint.
        written_at: The time the files name, by default now.
        salt: Secret of the run, at least 16 bytes; de-identified files and tables get their new identifiers from it.
            By default one that is kept beside the study's folder, see `run_secret`.

    Returns:
        File name -> SHA-256, of every file but `study.json`, which holds them.

    Raises:
        OutputError: The folder may not be written, or the disk is full.
        SegAnyPETError: A format cannot be made of this study.
    """
    folder = Path(folder)
    content = content_of_result(result, settings)
    if settings.is_deidentified:
        salt = salt or run_secret(folder.parent)
        content = deidentified_content(content, result.study, settings, salt=salt)
    return _write(folder, content, settings, written_at=written_at, salt=salt)


def replace_lesions(
    folder: Path | str,
    lesions: Sequence[Segment],
    *,
    series: PETSeries,
    image: SUVVolume,
    settings: BatchSettings,
    written_at: datetime | None = None,
    salt: bytes = b"",
) -> dict[str, str]:
    """Write a study anew with the lesions as a person has corrected them; rule, facts and times stay.

    A lesion is recognized by its label. One whose mask is as before keeps its line; the others are marked as
    corrected, without the model's score. Write the tables anew afterwards, see `write_tables`.

    Args:
        folder: Of the study, with its old result.
        lesions: All that the study has now, each with a voxel; may be empty.
        series: The PET series.
        image: In SUV, of the kind of the old result.
        settings: Of the run that made the old result.
        written_at: The time the files name, by default now.
        salt: Secret of the run, as in `write_study`.

    Returns:
        File name -> SHA-256, as `write_study`.

    Raises:
        InputError: There is no old result, two lesions have the same label, or the SUV kind is another one.
        GeometryError: A mask does not fit the image.
        OutputError: The folder may not be written, or the disk is full.
    """
    folder = Path(folder)
    old = read_study_json(folder)
    labels = [lesion.label for lesion in lesions]
    if len(set(labels)) < len(labels) or old["suv"]["kind"] != image.kind:
        msg = (
            f"Expected lesions with different labels and SUV{old['suv']['kind']}; found {len(labels)} lesions with "
            f"{len(set(labels))} labels and SUV{image.kind}. Rename lesions, or open the study anew."
        )
        raise InputError(msg)
    content = _corrected_content(old, lesions, before=load_lesions(folder, image.grid), series=series, image=image)
    if settings.is_deidentified:
        salt = salt or run_secret(folder.parent)
    return _write(folder, content, settings, written_at=written_at, salt=salt)


def _write(
    folder: Path, content: StudyContent, settings: BatchSettings, *, written_at: datetime | None, salt: bytes
) -> dict[str, str]:
    if any(lesion.mask.shape != content.image.grid.shape_kji for lesion in content.lesions):
        msg = f"Expected masks (K, J, I) = {content.image.grid.shape_kji} as the image; found another shape."
        raise GeometryError(msg)
    if not content.lesions and NOTHING_FOUND not in content.notes:
        content = replace(content, notes=(*content.notes, NOTHING_FOUND))
    written_at = written_at or _time_before(folder, content) or datetime.now().replace(microsecond=0)
    totals = patient_row(content)
    with new_study_folder(folder) as new:
        write_files(new, content, settings, totals=totals, written_at=written_at, salt=salt)
        return seal(new, _study_json(content, settings, totals=totals, written_at=written_at))


def _time_before(folder: Path, content: StudyContent) -> datetime | None:
    """When the same was written here before; None where something else or nothing was."""
    try:
        old = read_study_json(folder)
        return datetime.fromisoformat(old["written_at"]) if old["content_sha256"] == content.digest() else None
    except (InputError, KeyError, TypeError, ValueError):
        return None


def _study_json(content: StudyContent, settings: BatchSettings, *, totals: Row, written_at: datetime) -> StudyJSON:
    provenance = content.image.provenance.to_dict()
    if settings.is_deidentified:
        del provenance["inputs"], provenance["warnings"]  # weight, height and times of the patient
    return {
        "schema": SCHEMA,
        "key": content.key,
        "fingerprint": content.fingerprint,
        "content_sha256": content.digest(),
        "written_at": written_at.isoformat(),
        "program": PROGRAM,
        "versions": _versions(),
        "model": content.model,
        "weights_sha256": content.weights_sha256,
        "formats": list(settings.formats),
        "suv": {"kind": content.image.kind, "unit": content.image.unit, **provenance},
        "choice": content.choice,
        "rule": content.rule,
        "rule_facts": {name: plain(value) for name, value in sorted(content.facts.items())},
        "notes": list(content.notes),
        "not_found": dict(content.not_found),
        "seconds": dict(content.seconds),
        "patient": totals,
        "lesions": [lesion_row(content, lesion) for lesion in content.lesions],
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _corrected_content(
    old: StudyJSON, lesions: Sequence[Segment], *, before: Sequence[Segment], series: PETSeries, image: SUVVolume
) -> StudyContent:
    rows = {row["label"]: (row, segment) for row, segment in zip(old["lesions"], before, strict=True)}
    made = tuple(
        _corrected_lesion(number, lesion, rows.get(lesion.label), old=old, image=image)
        for number, lesion in enumerate(lesions, start=1)
    )
    removed = sorted(set(rows) - {lesion.label for lesion in lesions})
    notes = tuple(note for note in old["notes"] if note != NOTHING_FOUND)
    notes += tuple(f"A person has removed {label}." for label in removed)
    patient: Mapping[str, Any] = old["patient"]  # JSON values
    return StudyContent(
        key=old["key"],
        patient_key=str(patient["patient_key"]),
        fingerprint=old["fingerprint"],
        study_instance_uid=patient["study_instance_uid"],
        series_instance_uid=patient["series_instance_uid"],
        study_date=patient["study_date"],
        choice=old["choice"],
        series=series,
        image=image,
        rule=old["rule"],
        facts=old["rule_facts"],
        notes=notes,
        not_found=old["not_found"],
        lesions=made,
        model=old["model"],
        weights_sha256=old["weights_sha256"],
        seconds=old["seconds"],
    )


def _corrected_lesion(
    number: int,
    lesion: Segment,
    known: tuple[dict[str, Any], Segment] | None,  # JSON values
    *,
    old: StudyJSON,
    image: SUVVolume,
) -> ContentLesion:
    row, is_same = ({}, False) if known is None else (known[0], np.array_equal(known[1].mask, lesion.mask))
    interval = (row["mtv_low_ml"], row["mtv_high_ml"]) if is_same and row["mtv_low_ml"] is not None else None
    return ContentLesion(
        number=number,
        label=lesion.label,
        mask=lesion.mask,
        measures=compute_measures(image, lesion.mask),
        origin=row.get("origin", _BY_HAND),
        physiology=row.get("physiology"),
        terminology=lesion.terminology,
        facts={name.removeprefix(FACT_PREFIX): v for name, v in row.items() if name.startswith(FACT_PREFIX)},
        click_count=row.get("click_count"),
        is_automatic=is_same and bool(row["is_automatic"]),
        score=row["score"] if is_same else None,
        volume_interval_ml=interval,
        tracking_uid=row.get("tracking_uid") or lesion.tracking_uid or _tracking_uid(old["key"], lesion.label),
        notices=(row["notices"],) if is_same and row["notices"] else (),
        is_corrected=not is_same or bool(row["is_corrected"]),
    )


def _tracking_uid(key: str, label: str) -> str:
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=[key, "by hand", label]))
