"""Gather the DICOM files of a ZIP archive, which may come from anywhere and is trusted in nothing."""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from SegAnyPETLib.batch.finding.gathering import Gathering
from SegAnyPETLib.batch.study import hashed
from SegAnyPETLib.data.atomic import write_folder_atomically
from SegAnyPETLib.data.dicom_files import MAX_FILE_BYTES, looks_like_dicom_name
from SegAnyPETLib.errors import InputError, OutputError

MAX_MEMBERS = 1_000_000  # a thousand studies of a thousand slices
MAX_DIRECTORY_BYTES = MAX_MEMBERS * 512  # of the archive's table of contents, which is read whole
MAX_GROWTH = 100  # PET and CT shrink to a half or a tenth; even empty slices rarely to a hundredth
ALWAYS_ALLOWED_BYTES = 1024**3  # small archives of empty test images may grow more than that
DISK_LEFT_BYTES = 1024**3  # so that an archive never fills the disk on which the results are to be written
_CHUNK = 1 << 20
_END_OF_DIRECTORY = b"PK\x05\x06"
_END_OF_DIRECTORY_64 = b"PK\x06\x06"
_FAULTS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)


def is_zip(path: Path) -> bool:
    """True for a file that starts like a ZIP archive with members, or is named like one."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04" or path.suffix.lower() == ".zip"


def gather_zip(archive: Path, gathering: Gathering, *, workspace: Path) -> None:
    """Extract the DICOM files of an archive into the workspace, under numbers, and gather them.

    The same archive is extracted once; a search after an interruption finds its files where they were.

    Raises:
        InputError: The archive is damaged or encrypted, holds links or names that lead out of it, or would grow
            beyond all measure.
        OutputError: The workspace cannot be written or is too small.
    """
    try:
        _check_directory_size(archive)
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check_members(members, archive=archive)
            facts = archive.stat()
            name = hashed(str(archive.resolve()), str(facts.st_size), str(facts.st_mtime_ns))
            folder = workspace / f"zip-{name}"
            if not folder.is_dir():
                _extract(opened, members, folder, archive=archive)
    except _FAULTS as error:
        msg = f"Expected a ZIP archive; {archive} cannot be read ({error}). Copy it again, or unpack it yourself."
        raise InputError(msg) from error
    for file in sorted(folder.iterdir()):
        member = members[int(file.stem)]
        gathering.add(file, place=f"{archive}: {PurePosixPath(member.filename).parent}")
    left = sum(not member.is_dir() for member in members) - sum(1 for _ in folder.iterdir())
    if left:
        gathering.aside["file(s) that are not DICOM"] += left


def _check_directory_size(archive: Path) -> None:
    """Refuse a table of contents that would fill the memory, before it is read."""
    with archive.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - (1 << 16) - 100))
        tail = file.read()
    at, at_64 = tail.rfind(_END_OF_DIRECTORY), tail.rfind(_END_OF_DIRECTORY_64)
    declared = struct.unpack_from("<I", tail, at + 12)[0] if 0 <= at <= len(tail) - 22 else 0
    if 0 <= at_64 <= len(tail) - 56:
        declared = max(declared if declared != 0xFFFFFFFF else 0, struct.unpack_from("<Q", tail, at_64 + 40)[0])
    if declared > MAX_DIRECTORY_BYTES and declared != 0xFFFFFFFF:
        _refuse(archive, f"its table of contents has {declared} bytes, at most {MAX_DIRECTORY_BYTES} are read")


def _check_members(members: list[zipfile.ZipInfo], *, archive: Path) -> None:
    if len(members) > MAX_MEMBERS:
        _refuse(archive, f"it has {len(members)} members, at most {MAX_MEMBERS} are read")
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if parts[0] == "" or ":" in parts[0] or ".." in parts:
            _refuse(archive, f"member {member.filename!r} has a name that leads out of it")
        if stat.S_ISLNK(member.external_attr >> 16):
            _refuse(archive, f"member {member.filename!r} is a link")
        if member.flag_bits & 1:
            _refuse(archive, "it is encrypted; unpack it yourself")
        if member.file_size > MAX_FILE_BYTES:
            _refuse(archive, f"member {member.filename!r} has {member.file_size} bytes, no DICOM file has")
    total = sum(member.file_size for member in members)
    allowed = _allowed_bytes(archive)
    if total > allowed:
        _refuse(archive, f"it would grow from {archive.stat().st_size} to {total} bytes, at most {allowed} are allowed")


def _extract(opened: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path, *, archive: Path) -> None:
    needed = sum(member.file_size for member in members) + DISK_LEFT_BYTES
    free = shutil.disk_usage(folder.parent).free
    if needed > free:
        msg = f"Unpacking {archive} needs {needed} bytes; {free} are free in {folder.parent}. Give another --workspace."
        raise OutputError(msg)
    for stale in folder.parent.glob(f".*-{folder.name}"):
        shutil.rmtree(stale, ignore_errors=True)  # of a run that was killed while it unpacked
    left = _allowed_bytes(archive)
    with write_folder_atomically(folder) as temporary:
        for number, member in enumerate(members):
            name = PurePosixPath(member.filename)
            if member.is_dir() or name.name.startswith("._") or "__MACOSX" in name.parts:
                continue
            with opened.open(member) as source:
                left -= _copy_dicom(source, temporary / f"{number:07d}.dcm", named=name, at_most=left, archive=archive)


def _copy_dicom(source: IO[bytes], target: Path, *, named: PurePosixPath, at_most: int, archive: Path) -> int:
    """Copy one member if it is DICOM or is named so; the sizes an archive declares are not believed."""
    start = source.read(132)
    if start[128:] != b"DICM" and not looks_like_dicom_name(Path(named)):
        return 0
    written = len(start)
    with target.open("wb") as file:
        file.write(start)
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > at_most:
                _refuse(archive, "it holds more than it declares")
            file.write(chunk)
    return written


def _allowed_bytes(archive: Path) -> int:
    return max(ALWAYS_ALLOWED_BYTES, MAX_GROWTH * archive.stat().st_size)


def _refuse(archive: Path, why: str) -> None:
    msg = f"The ZIP archive {archive} is not opened: {why}. Ask where it comes from, or give a folder instead."
    raise InputError(msg)
