"""Gather the files that a DICOMDIR names (DICOM PS3.10 section 8, PS3.3 annex F)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from SegAnyPETLib.batch.finding.gathering import Gathering
from SegAnyPETLib.data.dicom_files import has_dicom_magic, read_with_pixels
from SegAnyPETLib.data.dicom_values import items, text, texts
from SegAnyPETLib.errors import DICOMError, InputError

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
MAX_DIRECTORY_BYTES = 512 * 1024**2  # a record has about 300 bytes: a million images and more


def is_dicomdir(path: Path) -> bool:
    """True for a file that is named DICOMDIR, in any case and with any ending."""
    return path.stem.upper() == "DICOMDIR"


def gather_dicomdir(path: Path, gathering: Gathering) -> None:
    """Gather the files that a DICOMDIR names; those that are not there count as damaged files of their series.

    A name may lead to no place outside the folder of the DICOMDIR, whatever links lie there.

    Raises:
        InputError: It is damaged, no DICOMDIR, names no file, or names one outside its folder.
    """
    folder = path.parent.resolve()
    names: dict[Path, dict[str, str]] = {}  # listing of a folder, by name in capitals
    series, count = "", 0
    for record in _records(path):
        if text(record, "DirectoryRecordType") == "SERIES":
            # Records of lower levels follow their series in the directories that are written in practice.
            series = text(record, "SeriesInstanceUID") or ""
        components = texts(record, "ReferencedFileID")
        if not components:
            continue
        count += 1
        file = _inside(folder, components, names, directory=path)
        if file is None:
            gathering.aside["file(s) named in a DICOMDIR that are not there"] += 1
            gathering.damaged.setdefault(series, []).append(str(folder.joinpath(*components)))
        else:
            gathering.add(file, place=str(file.parent))
    if not count:
        msg = f"Expected a DICOMDIR that names files; {path} names none. Give the folder beside it instead."
        raise InputError(msg)


def _records(path: Path) -> Iterator[Dataset]:
    try:
        size = path.stat().st_size
        if size > MAX_DIRECTORY_BYTES or not has_dicom_magic(path):
            msg = f"{size} bytes, or no DICM at byte 128"
            raise DICOMError(msg)
        dataset = read_with_pixels(path)
        if text(dataset.file_meta, "MediaStorageSOPClassUID") != MEDIA_DIRECTORY:
            msg = "its Media Storage SOP Class UID (0002,0002) is another"
            raise DICOMError(msg)
        yield from items(dataset, "DirectoryRecordSequence")
    except (DICOMError, OSError) as error:
        msg = f"Expected a DICOMDIR; {path} cannot be used: {error}. Give the folder beside it instead."
        raise InputError(msg) from error


def _inside(
    folder: Path, components: tuple[str, ...], names: dict[Path, dict[str, str]], *, directory: Path
) -> Path | None:
    """The file that a record names; None where it is not there. Media keep names in capitals, their copies may not."""
    place = folder
    for component in components:
        if component in ("", ".", "..") or any(sign in component for sign in "/\\:\0"):
            msg = f"{directory} names {'/'.join(components)!r}, which is no file inside its folder. Do not trust it."
            raise InputError(msg)
        if place not in names:
            names[place] = {entry.name.upper(): entry.name for entry in place.iterdir()} if place.is_dir() else {}
        known = names[place].get(component.upper())
        if known is None:
            return None
        place = place / known
    if not place.resolve().is_relative_to(folder):
        msg = f"{directory} names {'/'.join(components)!r}, a link out of its folder. Do not trust it."
        raise InputError(msg)
    return place if place.is_file() else None
