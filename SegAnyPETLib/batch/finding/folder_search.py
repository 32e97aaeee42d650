"""Gather the DICOM files of a folder tree, or the study of one file."""

from __future__ import annotations

from pathlib import Path

from SegAnyPETLib.batch.finding.gathering import Gathering
from SegAnyPETLib.data.dicom_files import files_below, read_header
from SegAnyPETLib.data.dicom_values import text
from SegAnyPETLib.errors import DICOMError, InputError


def gather_folder(folder: Path, gathering: Gathering) -> None:
    """Gather everything below a folder; folders that may not be listed are counted, archives in it are not opened.

    Raises:
        InputError: It cannot be listed, or it is empty.
    """
    failed: list[OSError] = []
    count = 0
    for path in files_below(folder, failed=failed):
        count += 1
        if path.suffix.lower() == ".zip":
            gathering.aside["ZIP archive(s) inside folders, not opened; give them as sources"] += 1
            continue
        gathering.add(path, place=str(path.parent))
    if not count:
        why = f"it cannot be listed ({failed[0].strerror})" if failed else "it is empty"
        msg = f"Expected a folder with DICOM files; found {folder}, but {why}. Check the path and its permissions."
        raise InputError(msg)
    if failed:
        gathering.aside["folder(s) that cannot be listed"] += len(failed)


def gather_one_file(file: Path, gathering: Gathering) -> str | None:
    """Gather one DICOM file and its neighbours in the same folder that belong to the same study.

    Returns:
        The UID of the PET series that was pointed at, None where the file is of another modality.

    Raises:
        InputError: It is no DICOM file, or damaged.
    """
    try:
        dataset = read_header(file)
    except DICOMError as error:
        msg = f"Expected a folder, DICOM file, ZIP, DICOMDIR or list file (.txt, .csv); {error}"
        raise InputError(msg) from error
    study = text(dataset, "StudyInstanceUID")
    for path in sorted(path for path in file.parent.iterdir() if path.is_file() and not path.name.startswith("._")):
        gathering.add(path, place=str(path.parent), only_study=study)
    return text(dataset, "SeriesInstanceUID") if text(dataset, "Modality") == "PT" else None
