"""A study's folder, replaced whole: after a crash at any moment there is the old result or the new one, never neither.

The new folder is written beside the old one, with `study.json` and the hashes of all files last. Then the old one is
moved aside, the new one gets its name, and the old one is removed. `repair_study_folder` ends what a crash cut short.

One process at a time may write a study; readers may look at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeGuard

from SegAnyPETLib.data import write_atomically
from SegAnyPETLib.errors import InputError, OutputError

STUDY_JSON = "study.json"
SCHEMA = "seganypet-study/1"
MASKS_NAME = "lesions.seg.nrrd"
FILE_NAMES = {
    "seg": "lesions.seg.dcm",
    "sr": "report.sr.dcm",
    "rtstruct": "lesions.rtstruct.dcm",
    "seg.nrrd": MASKS_NAME,
    "nifti": "lesions.nii.gz",
    "png": "page.png",
}
_OURS = {STUDY_JSON, *FILE_NAMES.values()}
LARGEST_STUDY_JSON = 64 << 20  # bytes; 300 lesions take half a megabyte

StudyJSON = dict[str, Any]  # JSON values


@contextmanager
def new_study_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill and to seal with `seal`; it takes the place of `folder` when the block succeeds.

    Files that others put into the old folder go into the new one.

    Raises:
        OutputError: The place may not be written, or the disk is full. The old folder is as it was.
    """
    temporary = folder.with_name(f".{folder.name}-new-{uuid.uuid4().hex[:12]}")
    try:
        repair_study_folder(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(mode=0o700)
        yield temporary
        _flush_folder(temporary)
        _swap(temporary, folder)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        msg = (
            f"Cannot write the results of study {folder.name}: {cause}. What was there before is unchanged; free space "
            "or choose a folder you may write to."
        )
        raise OutputError(msg) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def seal(folder: Path, content: Mapping[str, Any]) -> dict[str, str]:  # JSON values
    """Write `study.json` with `content` and the SHA-256 of every other file, which is the last file of a result.

    Returns:
        File name -> SHA-256.
    """
    hashes = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
    text = json.dumps({**content, "files": hashes}, indent=1, ensure_ascii=False, allow_nan=False)
    with write_atomically(folder / STUDY_JSON) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return hashes


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_study_json(folder: Path | str) -> StudyJSON:
    """What `study.json` says. The files beside it are not looked at, see `is_complete`.

    Raises:
        InputError: There is none, or it is not of this program.
    """
    folder = Path(folder)
    # Between the two renames of a swap the old folder is all there is.
    path = next((place / STUDY_JSON for place in (folder, _aside(folder)) if place.is_dir()), folder / STUDY_JSON)
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_STUDY_JSON + 1)
        content = json.loads(raw) if len(raw) <= LARGEST_STUDY_JSON else None
    except (OSError, ValueError, RecursionError) as error:
        msg = f"Expected the results of a study in {folder}; its {STUDY_JSON} cannot be read. Run the study again."
        raise InputError(msg) from error
    if not _is_study(content):
        msg = f"Expected {STUDY_JSON} of schema {SCHEMA} in {folder}; found something else. Run the study again."
        raise InputError(msg)
    return content


def is_complete(folder: Path | str, *, key: str, fingerprint: str) -> bool:
    """True where the whole result of this study with these settings is there, every file with its hash.

    Ends first what a crash cut short, so only who would write the study may ask.

    Args:
        folder: Of the study.
        key: Of the study.
        fingerprint: Of the settings.
    """
    folder = Path(folder)
    with suppress(OSError):  # a folder that cannot be repaired is not complete, as seen next
        repair_study_folder(folder)
    content = _whole(folder)
    return content is not None and content["key"] == key and content["fingerprint"] == fingerprint


def repair_study_folder(folder: Path) -> None:
    """End what a crash cut short: a result that was written whole is kept, half of one is removed.

    Raises:
        OSError: Something may not be moved.
    """
    old = _aside(folder)
    pending = _pending(folder)
    if not folder.exists():
        finished = [place for place in pending if _whole(place) is not None]
        if finished:
            max(finished, key=lambda place: place.stat().st_mtime_ns).rename(folder)
        elif old.exists():
            old.rename(folder)
    if old.exists():
        _discard(old, folder)
    for place in pending:
        shutil.rmtree(place, ignore_errors=True)


def _pending(folder: Path) -> list[Path]:
    if not folder.parent.is_dir():
        return []
    return [place for place in folder.parent.iterdir() if place.name.startswith(f".{folder.name}-new-")]


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}-old")


def _swap(new: Path, folder: Path) -> None:
    old = _aside(folder)
    has_old = folder.exists()
    if has_old:
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if has_old:
            old.rename(folder)
        raise
    _flush_folder(folder.parent)
    if has_old:
        _discard(old, folder)


def _discard(old: Path, folder: Path) -> None:
    """Remove an old result, but not what a person has put beside it."""
    for item in old.iterdir():
        if item.name not in _OURS and not (folder / item.name).exists():
            item.rename(folder / item.name)
    shutil.rmtree(old, ignore_errors=True)


def _whole(folder: Path) -> StudyJSON | None:
    """The content of a folder whose files all have their hashes; None for any other."""
    if not folder.is_dir():
        return None
    try:
        content = read_study_json(folder)
        files = content["files"]
        # Only names of ours: a name from a file must not lead out of the folder.
        is_whole = set(files) <= _OURS and all(file_hash(folder / name) == value for name, value in files.items())
    except (InputError, OSError):
        return None
    return content if is_whole else None


def _is_study(content: object) -> TypeGuard[StudyJSON]:
    return (
        isinstance(content, dict)
        and content.get("schema") == SCHEMA
        and all(isinstance(content.get(name), str) for name in ("key", "fingerprint"))
        and all(isinstance(content.get(name), dict) for name in ("files", "patient"))
        and isinstance(content.get("lesions"), list)
        and all(isinstance(row, dict) for row in content["lesions"])
    )


def _flush_folder(folder: Path) -> None:
    """The names in a folder reach the disk too; the files in it were flushed when they were written."""
    if os.name == "posix":  # Windows cannot open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
