"""The prompts of one study, from a file or a folder of files.

A file may be
    a table, CSV or JSON, whose column `study` names studies (`prompt_table`),
    Slicer markups, `.mrk.json` (`slicer_markups`),
    a mask to refine: DICOM SEG, RTSTRUCT, `.seg.nrrd`, or a labelmap (`masks`).

Of a folder a study takes: all files in a subfolder named after it; files named after it, alone or followed by one of
". _-" or a space (``1.2.3.mrk.json``, ``case 7 lesions.seg.nrrd``); its rows of all tables; and DICOM SEG and RTSTRUCT
that carry its Study Instance UID. A study's names are, the most telling first: its UID, its key, the key of its
patient, and the folders its PET lies in, the innermost first. Only the first name that occurs counts, so that two
studies in a patient's folder keep to their own. A single file without the names of studies is used for whatever study
is asked about; whoever runs several studies with it should ask `is_for_one_study` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from SegAnyPETLib.batch.lesion import StudyRequest
from SegAnyPETLib.batch.prompting.gathered import GatheredLesion, as_requests
from SegAnyPETLib.batch.prompting.masks import is_mask_file, read_masks
from SegAnyPETLib.batch.prompting.prompt_table import PromptRow, read_prompt_table
from SegAnyPETLib.batch.prompting.slicer_markups import ENDING as MARKUPS_ENDING
from SegAnyPETLib.batch.prompting.slicer_markups import read_slicer_markups
from SegAnyPETLib.batch.study import FoundStudy
from SegAnyPETLib.errors import DICOMError, InputError
from SegAnyPETLib.suv import SUVVolume

TABLE_ENDINGS = (".csv", ".json")
MASK_MODALITIES = ("SEG", "RTSTRUCT")
MOST_FILES = 100_000
FOLDERS_UP = 4  # of a study's folders, from the PET's own on, whose names count
_SEPARATORS = (".", "_", "-", " ")
BROKEN_TABLES = "{count} table(s) of the prompt folder cannot be read and were left aside."
ONE_FOR_ALL = "The prompt file names no study; it was used for this one because it is the only file that was given."


def is_for_one_study(prompts: str | Path) -> bool:
    """True where the prompts are one file that does not say which study it is for.

    Raises:
        InputError: There is nothing at the path, or a table cannot be read.
    """
    path = _existing(prompts)
    if path.is_dir() or _is_dicom(path):
        return False
    return not (_is_table(path) and any(row.study for row in _rows(path)))


def read_study_prompts(prompts: str | Path, study: FoundStudy, image: SUVVolume) -> StudyRequest:
    """All lesions that the prompts hold for a study, in the order of the files' names.

    Raises:
        InputError: A file cannot be used, or there is nothing for this study.
        PromptError: A prompt does not fit the image.
        GeometryError: A mask does not fit the image.
        DICOMError: A DICOM SEG or RTSTRUCT is damaged.
    """
    path = _existing(prompts)
    names = study_names(study)
    lesions: list[GatheredLesion] = []
    notes: list[str] = []
    if path.is_dir():
        files = _files_of(path, names)
    else:
        files = [path]
        notes += [ONE_FOR_ALL] if is_for_one_study(path) else []
    for file in files:
        found, said = _read(file, study, names, image)
        lesions += found
        notes += said
    if path.is_dir():
        lesions += [row.as_lesion() for table, row in _listing(path).rows_of(names) if table not in files]
        notes += [BROKEN_TABLES.format(count=broken)] if (broken := _listing(path).broken_tables) else []
    if not lesions:
        msg = (
            f"Expected prompts for the study {study.key}; found none. Name its rows or files by its Study Instance "
            "UID, by this key, or by the folder it lies in." + "".join(f" {note}" for note in notes)
        )
        raise InputError(msg)
    requests = as_requests(lesions, image)
    kinds = ", ".join(sorted({lesion.origin.split(",")[0] for lesion in lesions}))
    return StudyRequest(
        requests, f"Prompts given for the study: {kinds}.", {"prompted_lesions": len(requests)}, tuple(notes)
    )


def study_names(study: FoundStudy) -> tuple[str, ...]:
    """What prompts may call a study, the most telling name first."""
    names = [study.study_instance_uid, study.key, study.patient_key]
    if study.pet is not None and study.pet.files:
        folder = study.pet.files[0].parent
        names += [parent.name for parent in (folder, *folder.parents)[:FOLDERS_UP]]
    return tuple(dict.fromkeys(name for name in names if name))


class _Listing:
    """The files of a prompt folder, sorted by name."""

    def __init__(self, folder: Path) -> None:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        if len(entries) > MOST_FILES:
            msg = f"Expected at most {MOST_FILES} files in the prompt folder; found {len(entries)}."
            raise InputError(msg)
        self.folders = {path.name: path for path in entries if path.is_dir()}
        files = [path for path in entries if path.is_file()]
        self.named = [path for path in files if _is_table(path) or _is_markups(path) or is_mask_file(path)]
        self.dicom = {path: uid for path in files if (uid := _study_of_mask(path)) is not None}
        self._rows: dict[str, list[tuple[Path, PromptRow]]] = {}
        self.broken_tables = 0
        for table in filter(_is_table, files):
            try:
                for row in read_prompt_table(table):
                    self._rows.setdefault(row.study, []).append((table, row))
            except InputError:  # a table of another study must not stop this one
                self.broken_tables += 1

    def rows_of(self, names: Sequence[str]) -> list[tuple[Path, PromptRow]]:
        """The rows of all tables that name a study, by the first of its names that occurs."""
        return next((self._rows[name] for name in names if name in self._rows), [])


def _listing(folder: Path) -> _Listing:
    """The folder's files, listed once for all studies of a run as long as nothing in it changes."""
    return _listed(str(folder), folder.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _listed(folder: str, _changed_at: int) -> _Listing:
    return _Listing(Path(folder))


def _rows(table: Path) -> Sequence[PromptRow]:
    facts = table.stat()
    return _table(str(table), facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=4)
def _table(table: str, _changed_at: int, _size: int) -> tuple[PromptRow, ...]:
    return tuple(read_prompt_table(Path(table)))


def _files_of(folder: Path, names: Sequence[str]) -> list[Path]:
    """The files of a study in a prompt folder: by the first of its names that occurs, and by UID."""
    listing = _listing(folder)
    own = [path for path, uid in listing.dicom.items() if uid == names[0]]
    for name in names:
        below = listing.folders.get(name)
        files = [path for path in listing.named if _is_named(path, name)]
        if below is not None:
            inner = _listing(below)
            files += [*inner.named, *inner.dicom]
        if files:
            return sorted({*own, *files})
    return sorted(own)


def _is_named(path: Path, name: str) -> bool:
    rest = path.name.removeprefix(name)
    return rest != path.name and rest.startswith(_SEPARATORS)


def _of_study(rows: Iterable[PromptRow], names: Sequence[str]) -> list[PromptRow]:
    """The rows that name the study, by the first of its names that occurs."""
    by_name: dict[str, list[PromptRow]] = {}
    for row in rows:
        by_name.setdefault(row.study, []).append(row)
    return next((by_name[name] for name in names if name in by_name), [])


def _read(
    path: Path, study: FoundStudy, names: Sequence[str], image: SUVVolume
) -> tuple[list[GatheredLesion], Sequence[str]]:
    if _is_markups(path):
        found, unplaced = read_slicer_markups(path, name=path.name[: -len(MARKUPS_ENDING)])
        said = [f"{unplaced} control point(s) of the markups were never placed and are left out."] if unplaced else []
        return found, said
    if _is_table(path):
        rows = _rows(path)
        chosen = _of_study(rows, names) if any(row.study for row in rows) else rows
        return [row.as_lesion() for row in chosen], ()
    if is_mask_file(path):
        return read_masks(path, grid=image.grid)
    return _read_dicom_mask(path, study, image)


def _read_dicom_mask(path: Path, study: FoundStudy, image: SUVVolume) -> tuple[list[GatheredLesion], Sequence[str]]:
    from SegAnyPETLib.data.dicom_files import read_header
    from SegAnyPETLib.data.dicom_values import text

    header = read_header(path)
    modality = text(header, "Modality") or "none"
    if modality not in MASK_MODALITIES:
        msg = f"Expected a DICOM SEG or RTSTRUCT as prompts; found modality {modality}."
        raise InputError(msg)
    if text(header, "StudyInstanceUID") != study.study_instance_uid:
        return [], ()  # of another study of the run
    files = study.pet.files if study.pet is not None else ()
    frame = text(read_header(files[0]), "FrameOfReferenceUID") if files else None
    return read_masks(path, grid=image.grid, modality=modality, frame_of_reference_uid=frame)


def _study_of_mask(path: Path) -> str | None:
    """Study Instance UID of a DICOM SEG or RTSTRUCT; None for any other file."""
    from SegAnyPETLib.data.dicom_files import read_header
    from SegAnyPETLib.data.dicom_values import text

    if not _is_dicom(path):
        return None
    try:
        header = read_header(path)
        return text(header, "StudyInstanceUID") if text(header, "Modality") in MASK_MODALITIES else None
    except DICOMError:
        return None  # whose it is cannot be told; the study without prompts will say that it has none


def _is_dicom(path: Path) -> bool:
    from SegAnyPETLib.data.dicom_files import has_dicom_magic

    try:
        return path.is_file() and not _known_ending(path) and has_dicom_magic(path)
    except OSError:
        return False


def _known_ending(path: Path) -> bool:
    checks: tuple[Callable[[Path], bool], ...] = (_is_markups, _is_table, is_mask_file)
    return any(check(path) for check in checks)


def _is_markups(path: Path) -> bool:
    return path.name.lower().endswith(MARKUPS_ENDING)


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLE_ENDINGS and not _is_markups(path)


def _existing(prompts: str | Path) -> Path:
    path = Path(prompts)
    if not path.exists():
        msg = "Expected a prompt file or a folder of them; found nothing at the given path. Check it."
        raise InputError(msg)
    if path.is_file() and not (_known_ending(path) or _is_dicom(path)):
        msg = (
            "Expected prompts as .csv, .json, .mrk.json, .seg.nrrd, .nii, .nii.gz, .nrrd, .mha, DICOM SEG or RTSTRUCT; "
            f"found a file ending in {path.suffix or 'nothing'}."
        )
        raise InputError(msg)
    return path
