"""Text of a file that is not trusted."""

from __future__ import annotations

from pathlib import Path

from SegAnyPETLib.errors import InputError

MOST_BYTES = 64 << 20


def read_bounded_text(path: Path, *, what: str, most_bytes: int = MOST_BYTES) -> str:
    """The file as UTF-8 text, with or without a byte-order mark.

    Args:
        path: The file; not named in the errors, since it may name a person.
        what: What it is called in them, for example ``a prompt file``.
        most_bytes: More are not read.

    Raises:
        InputError: It cannot be read, is larger, or is no UTF-8.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(most_bytes + 1)
    except OSError as error:
        msg = f"Expected {what}; it cannot be read: {error.strerror}. Check the path and its permissions."
        raise InputError(msg) from error
    if len(raw) > most_bytes:
        msg = f"Expected {what} of at most {most_bytes >> 20} MB; found a larger one. Check the path, or split it."
        raise InputError(msg)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"Expected {what} in UTF-8; found other bytes ({error.reason}). Save it as UTF-8."
        raise InputError(msg) from error
