"""Find and open DICOM files without trusting them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import FileDataset

from SegAnyPETLib.data.dicom_values import faults_named, text
from SegAnyPETLib.errors import DICOMError

MAX_FILE_BYTES = 4 * 1024**3  # beyond any PET object; a header is never a reason to read more
LARGEST_HEADER_ELEMENT = 1 << 20
_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class UnreadableFile:
    """A file that should be DICOM but cannot be read.

    Attributes:
        path: The file.
        reason: What is wrong with it.
        series_instance_uid: The series it belongs to, where that much could be read.
    """

    path: Path
    reason: str
    series_instance_uid: str | None = None


class _ClampedReader:
    """A file whose `read` never asks the system for more bytes than the file has left.

    Python's buffered reader allocates what it is asked for; a length field of 4 GB would allocate 4 GB. A read
    without a size is refused: pydicom makes one only to inflate a deflated transfer syntax, to any size.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._place = file.tell()  # kept here: asking the file is half of the time a header takes
        self.name = name

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            msg = "deflated transfer syntaxes are not read; convert the file first, for example with dcmconv +te"
            raise NotImplementedError(msg)
        data = self._file.read(min(size, max(0, self._size - self._place)))
        self._place += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = self._file.seek(offset, whence)
        return self._place

    def tell(self) -> int:
        return self._place


def candidate_files(folder: Path) -> list[Path]:
    """Regular files below `folder`, sorted; links to folders are not followed, ``._`` files of macOS are left out.

    Raises:
        DICOMError: The folder cannot be listed.
    """
    failed: list[OSError] = []
    found = list(files_below(folder, failed=failed))
    if failed and not found:
        msg = f"Folder {folder} cannot be listed: {failed[0]}. Check the path and its permissions."
        raise DICOMError(msg)
    return found


def files_below(folder: Path, *, failed: list[OSError]) -> Iterator[Path]:
    """The files of `candidate_files` one after the other; what cannot be listed is appended to `failed`."""
    for root, folders, names in os.walk(folder, onerror=failed.append):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith("._") and path.is_file():
                yield path


def has_dicom_magic(path: Path) -> bool:
    """True when the file carries ``DICM`` behind a 128-byte preamble.

    Raises:
        OSError: The file cannot be opened.
    """
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def looks_like_dicom_name(path: Path) -> bool:
    """True when the file's name says it is DICOM."""
    return path.suffix.lower() in _DICOM_SUFFIXES


def read_header_if_dicom(path: Path) -> FileDataset | None:
    """The header of a DICOM file, see `read_header`; None for a file that does not claim to be DICOM.

    Raises:
        DICOMError: The file is named like DICOM but is none, or `read_header` cannot read it.
        OSError: The file cannot be opened.
    """
    if has_dicom_magic(path):
        return read_header(path)
    if looks_like_dicom_name(path):
        msg = "is named like DICOM but has no DICM at byte 128"
        raise DICOMError(msg)
    return None


def read_header(path: Path) -> FileDataset:
    """Read one DICOM file up to its pixels; its elements stay raw bytes, and those beyond 1 MB are skipped.

    Raises:
        DICOMError: The file is no DICOM file, damaged, truncated, too large, or of a deflated transfer syntax.
    """
    return _read(path, stop_before_pixels=True, defer_size=LARGEST_HEADER_ELEMENT)


def read_with_pixels(path: Path, *, only: Sequence[str] = ()) -> FileDataset:
    """Read one DICOM file with its pixels; its elements stay raw bytes.

    Args:
        path: The file.
        only: Keywords to read; all where none are given.

    Raises:
        DICOMError: As for `read_header`.
    """
    return _read(path, specific_tags=list(only) or None)


def _read(
    path: Path,
    *,
    stop_before_pixels: bool = False,
    defer_size: int | None = None,
    specific_tags: list[str] | None = None,
) -> FileDataset:
    with faults_named(f"{path} cannot be read as DICOM"), path.open("rb") as file:
        _check_before_reading(path, file)
        reader = _ClampedReader(file, name=str(path))
        dataset = pydicom.dcmread(
            reader,
            stop_before_pixels=stop_before_pixels,
            defer_size=defer_size,
            specific_tags=specific_tags,
        )
    _check_complete(path, dataset)
    return dataset


def series_of_damaged_file(path: Path) -> str | None:
    """Series Instance UID of a file whose header cannot be read to its end; None where even that is lost."""
    try:
        with faults_named(str(path)), path.open("rb") as file:
            _check_before_reading(path, file)
            reader = _ClampedReader(file, name=str(path))
            dataset = pydicom.filereader.read_partial(
                reader,  # type: ignore[arg-type]  # has what is used
                stop_when=lambda tag, _vr, _length: tag > 0x0020000E,
            )
            return text(dataset, "SeriesInstanceUID")
    except DICOMError:
        return None


def _check_before_reading(path: Path, file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    if size > MAX_FILE_BYTES:
        msg = f"{path} has {size} bytes; at most {MAX_FILE_BYTES} are read. Check that it is a PET image."
        raise DICOMError(msg)
    if file.read(132)[128:] != b"DICM":
        msg = f"{path} is no DICOM file: expected DICM at byte 128, found something else. Check that it is a PET image."
        raise DICOMError(msg)
    file.seek(0)


def _check_complete(path: Path, dataset: FileDataset) -> None:
    last = max(dataset.keys(), default=None)
    element = None if last is None else dataset.get_item(last, keep_deferred=True)
    value, length = getattr(element, "value", None), getattr(element, "length", None)
    if isinstance(value, bytes) and length not in (None, 0xFFFFFFFF) and len(value) < int(length or 0):
        msg = f"{path} is truncated: element {last} should have {length} bytes, found {len(value)}. Copy it again."
        raise DICOMError(msg)
