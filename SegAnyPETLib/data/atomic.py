"""Whole files or none: every result is written beside its place and then renamed onto it."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from SegAnyPETLib.errors import OutputError


@contextmanager
def write_atomically(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it onto `path` when the block succeeds.

    The temporary name ends with the name of `path`, because SimpleITK and others choose the format by the ending.
    An existing file is replaced; when the block fails it stays as it was and nothing else is left behind.

    Raises:
        OutputError: The folder is absent, may not be written, the disk is full, or nothing was written.
    """
    path = Path(path)
    _require_folder(path)
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def write_folder_atomically(folder: Path | str) -> Iterator[Path]:
    """Yield a new temporary folder; rename it onto `folder` when the block succeeds.

    Missing parents are made. `folder` itself may exist only when it is empty, so nothing of the user is replaced.

    Raises:
        OutputError: `folder` holds files already, may not be written, or the disk is full.
    """
    folder = Path(folder)
    temporary = folder.with_name(f".{uuid.uuid4().hex[:12]}-{folder.name}")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            msg = f"Expected a new or empty folder; {folder} is in use. Give another folder or empty it."
            raise OutputError(msg)
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            folder.rmdir()  # renaming onto an empty folder works on POSIX only
        temporary.rename(folder)
    except OSError as error:
        raise _output_error(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _require_folder(path: Path) -> None:
    if path.is_dir():
        msg = f"Expected the name of a file to write; {path} is a folder. Add a file name."
        raise OutputError(msg)
    if not path.parent.is_dir():
        msg = f"Cannot write {path}: the folder {path.parent} does not exist. Make it first, or give another path."
        raise OutputError(msg)


def _flush_to_disk(path: Path) -> None:
    # A full disk may show only when the system empties its buffers; this asks for it before the rename.
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _output_error(path: Path, error: OSError) -> OutputError:
    cause = error.strerror or str(error)
    return OutputError(
        f"Cannot write {path}: {cause}. Nothing was left half-written; free space or choose a folder you may write to."
    )
