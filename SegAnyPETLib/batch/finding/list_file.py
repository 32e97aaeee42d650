"""A list file: one source per line."""

from __future__ import annotations

from pathlib import Path

from SegAnyPETLib.batch.finding.remote_address import is_remote
from SegAnyPETLib.errors import InputError

LIST_ENDINGS = (".txt", ".csv")
FILES_ENDING = ".files.txt"  # a list of single DICOM files: just these are taken, and none is a person's choice
MAX_LIST_BYTES = 64 * 1024**2  # a million long paths; what is larger is no list of studies


def read_list_file(path: Path) -> list[str | Path]:
    """The sources named in a list file.

    Paths are relative to the list. Empty lines and lines that start with ``#`` are skipped, one pair of quotation
    marks around a path is removed; a byte order mark and the line ends of Windows are understood.

    Raises:
        InputError: A path does not exist (the message names the line) or is a list itself, or the file is empty, too
            large or no UTF-8 text.
    """
    sources: list[str | Path] = []
    for number, line in enumerate(_text_of(path).splitlines(), start=1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if len(word) > 1 and word[0] == word[-1] == '"':
            word = word[1:-1]
        sources.append(word if is_remote(word) else _existing(path, number, word))
    if not sources:
        msg = f"Expected one path per line in {path}; found none. Write the paths of the studies into it."
        raise InputError(msg)
    return sources


def _existing(listing: Path, number: int, word: str) -> Path:
    path = listing.parent / word
    try:
        exists = "\0" not in word and path.exists()
    except OSError:
        exists = False
    if not exists:
        msg = f"Line {number} of {listing} names {word!r}, which does not exist. Correct the line or put # before it."
        raise InputError(msg)
    if path.is_file() and path.suffix.lower() in LIST_ENDINGS:
        msg = f"Line {number} of {listing} names another list, {word!r}. Write its lines into this one."
        raise InputError(msg)
    return path


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            msg = f"Expected a list of paths of at most {MAX_LIST_BYTES} bytes; {path} is larger. Check the file."
            raise InputError(msg)
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Expected a list of paths as UTF-8 text; {path} cannot be read ({error}). Save it again as UTF-8."
        raise InputError(msg) from error
