"""Text of a file that is not trusted."""

from __future__ import annotations

from pathlib import Path

from SegAnyPETLib.errors import InputError

MOST_BYTES = 64 << 20


def read_bounded_text(path: Path) -> str:
    """The file as UTF-8 text.

    Raises:
        InputError: It cannot be read, is larger than 64 MB, or is no UTF-8.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        msg = f"The prompt file cannot be read: {error.strerror}. Check the path and its permissions."
        raise InputError(msg) from error
    if len(raw) > MOST_BYTES:
        msg = f"Expected a prompt file of at most {MOST_BYTES >> 20} MB; found a larger one. Split it."
        raise InputError(msg)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"Expected a prompt file in UTF-8; found other bytes ({error.reason}). Save it as UTF-8."
        raise InputError(msg) from error
