"""A study as it was found: which of its series will be used, and what is not clear about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

KEY_LENGTH = 16  # hexadecimal digits; two of a million studies share a key once in 10^8 runs


@dataclass(frozen=True)
class SeriesFiles:
    """One series and where its files lie.

    Attributes:
        series_instance_uid: Series Instance UID (0020,000E).
        modality: Modality (0008,0060), for example PT.
        description: Series Description (0008,103E), or an empty text. May name a person; never logged.
        files: Its files, in no particular order.
    """

    series_instance_uid: str
    modality: str
    description: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class FoundStudy:
    """One study of a source.

    Attributes:
        study_instance_uid: Study Instance UID (0020,000D).
        patient_key: The same for all studies of one patient; made by `hashed` from the identifiers, never one of them.
        source: What the person gave and where in it the study lies, for people; may hold a path with names.
        study_date: Study Date (0008,0020) as YYYYMMDD; None where there is none.
        pet: The PET series that will be segmented; None where there is none to be used.
        ct: The CT series it was acquired with; None where there is none.
        choice: The rule by which the PET series was chosen, a sentence.
        doubts: Why a person should choose instead: the study waits. Empty where the choice is clear.
        problems: Why it cannot be done at all. Empty where it can.
    """

    study_instance_uid: str
    patient_key: str
    source: str
    study_date: str | None
    pet: SeriesFiles | None
    ct: SeriesFiles | None
    choice: str
    doubts: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Names the study in the journal, in folders and in logs; nothing of the patient can be read from it."""
        series = self.pet.series_instance_uid if self.pet is not None else ""
        return hashed(self.study_instance_uid, series)


def hashed(*identifiers: str) -> str:
    """Sixteen hexadecimal digits that stand for identifiers, always the same ones for the same identifiers."""
    return hashlib.sha256("\0".join(identifiers).encode()).hexdigest()[:KEY_LENGTH]
