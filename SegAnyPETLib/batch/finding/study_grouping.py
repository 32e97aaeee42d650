"""From what was gathered to the studies of a run, with the series that will be used."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from SegAnyPETLib.batch.finding.ct_rules import choose_ct
from SegAnyPETLib.batch.finding.gathering import Gathering, SeriesFacts, StudyFacts
from SegAnyPETLib.batch.finding.series_rules import choose_pet
from SegAnyPETLib.batch.study import FoundStudy, SeriesFiles

_SHOWN = 3  # names of damaged files in a message


def group_studies(gathering: Gathering, *, chosen_series: Collection[str] = ()) -> list[FoundStudy]:
    """One `FoundStudy` for each study, in the order of their UIDs, so that it is the same for every search.

    Args:
        gathering: What was found.
        chosen_series: Series that a person chose, see `choose_pet`.
    """
    ordered = sorted(gathering.studies.values(), key=lambda study: study.study_instance_uid)
    return [_found(study, gathering.damaged, chosen_series) for study in ordered]


def _found(study: StudyFacts, damaged: dict[str, list[str]], chosen_series: Collection[str]) -> FoundStudy:
    choice = choose_pet(study.of_modality("PT"), aside=_aside(study), chosen=chosen_series)
    problems = list(study.failures or choice.problems)
    sentence, ct, doubts = choice.sentence, None, choice.doubts
    if choice.series is not None:
        ct, about_ct = choose_ct(choice.series, study.of_modality("CT"), damaged=damaged)
        sentence = f"{sentence} {about_ct}"
        problems += _damage(damaged.get(choice.series.first.series_instance_uid, []))
    if len(study.patient_keys) > 1:
        problems.append(
            f"The study has images of {len(study.patient_keys)} patients (Patient ID differs). Separate them first."
        )
    return FoundStudy(
        study_instance_uid=study.study_instance_uid,
        patient_key=min(study.patient_keys, default=""),
        source=choice.series.place if choice.series is not None else study.place,
        study_date=_date(study.study_date),
        pet=_files(choice.series),
        ct=_files(ct),
        choice=sentence,
        doubts=() if problems else doubts,
        problems=tuple(problems),
    )


def _aside(study: StudyFacts) -> dict[str, int]:
    ct = sum(len(series.files) for series in study.of_modality("CT"))
    return {**study.aside, **({"CT slice(s)": ct} if ct else {})}


def _files(series: SeriesFacts | None) -> SeriesFiles | None:
    if series is None:
        return None
    files = tuple(Path(file) for file in series.files.values())
    return SeriesFiles(series.first.series_instance_uid, series.first.modality, series.first.description, files)


def _damage(files: list[str]) -> list[str]:
    if not files:
        return []
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    names = ", ".join(files[:_SHOWN]) + more
    return [f"{len(files)} damaged or missing file(s) belong to the PET series: {names}. Copy them again."]


def _date(word: str | None) -> str | None:
    digits = (word or "").replace(".", "")
    return digits if len(digits) == 8 and digits.isdigit() else None
