"""UIDs, dates and text of the DICOM objects we write, such that writing twice can give the same bytes."""

from __future__ import annotations

from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

LONGEST_TEXT = 64  # of the value representations LO and UC as used here


def derived_uid(*identifiers: str) -> str:
    """A UID made from identifiers: the same ones give the same UID, and nothing of them can be read from it.

    Source:
        DICOM PS3.5 9: a UID is a root and a suffix; the suffix is the start of a SHA-512 of the identifiers.
    """
    return str(generate_uid(entropy_srcs=["\0".join(identifiers)]))


def new_uid_unless(given: str | None) -> str:
    """The UID that was given, or a new random one."""
    return str(generate_uid()) if given is None else given


def one_dicom_value(text: str) -> str:
    """Text as one DICOM value of at most 64 characters; a backslash, which separates values there, becomes a slash."""
    return text.replace("\\", "/")[:LONGEST_TEXT].strip()


def stamp_times(dataset: Dataset, written_at: datetime, *, prefixes: tuple[str, ...]) -> None:
    """Set the dates and times of an object we made to one moment.

    Args:
        dataset: The object; what its library says of its own contribution is set too, that of others is not.
        written_at: The moment.
        prefixes: What the attributes start with, for example InstanceCreation for its date and time.
    """
    for item in dataset.get("ContributingEquipmentSequence", ()):
        if item.get("ManufacturerModelName") == "highdicom":
            item.ContributionDateTime = written_at.strftime("%Y%m%d%H%M%S.%f")
    for prefix in prefixes:
        setattr(dataset, f"{prefix}Date", written_at.strftime("%Y%m%d"))
        setattr(dataset, f"{prefix}Time", written_at.strftime("%H%M%S.%f"))
