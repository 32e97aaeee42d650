"""The list of a cohort's cases: a table that a person can edit, read without trusting it and written whole or not.

Columns: case, patient, image, label, quality (HQ or LQ), split (train, validation or test), and where needed
label_name (segments of the label that are meant, separated by |; all lesions where empty), series (which DICOM series
of a folder), units (suv or bqml) and suv_factor of an image file that does not hold SUV. Paths are relative to the
table's folder.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.data.bounded_text import read_bounded_text
from SegAnyPETLib.data.dicom_files import candidate_files
from SegAnyPETLib.errors import InputError, SegAnyPETWarning

Quality = Literal["HQ", "LQ"]
Split = Literal["train", "validation", "test"]
Units = Literal["suv", "bqml"]

NEEDED_COLUMNS = ("case", "patient", "image", "label", "quality", "split")
OTHER_COLUMNS = ("label_name", "series", "units", "suv_factor")
NAME_SEPARATOR = "|"
LARGEST_BYTES = 16 << 20
MOST_ROWS = 50_000
LONGEST_CELL = 1 << 16  # the names of some thousand lesions
LONGEST_NAME = 128


@dataclass(frozen=True)
class CohortEntry:
    """One line: an image and the label somebody drew on it.

    Attributes:
        case: Its name; no other line has it.
        patient: The same for all cases of one patient.
        image: Image file in SUV, or folder of a DICOM PET series.
        label: Mask file, `.seg.nrrd`, DICOM SEG or RT Structure Set.
        quality: HQ: drawn with care; LQ: drawn carelessly, by a threshold or by a program.
        split: What the case is used for.
        label_names: Segments that are meant; all lesions where empty.
        series: Series Instance UID of the image, where its folder holds several; else empty.
        units: Of an image file.
        suv_factor: SUV per Bq/ml, with units `bqml` only.

    Raises:
        InputError: A name is empty, too long or not printable; quality, split, units or factor is no allowed value.
    """

    case: str
    patient: str
    image: Path
    label: Path
    quality: Quality = "HQ"
    split: Split = "train"
    label_names: tuple[str, ...] = ()
    series: str = ""
    units: Units = "suv"
    suv_factor: float | None = None

    def __post_init__(self) -> None:
        for what, name in (("case", self.case), ("patient", self.patient)):
            if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
                msg = f"Expected a {what} of 1 to {LONGEST_NAME} printable characters; found {name[:40]!r}. Rename it."
                raise InputError(msg)
        for what, value, choices in (
            ("quality", self.quality, get_args(Quality)),
            ("split", self.split, get_args(Split)),
            ("units", self.units, get_args(Units)),
        ):
            if value not in choices:
                msg = f"Expected {what} of case {self.case} to be one of {', '.join(choices)}; found {value[:40]!r}."
                raise InputError(msg)
        if any(not name or NAME_SEPARATOR in name for name in self.label_names):
            msg = f"Expected names of segments without {NAME_SEPARATOR} for case {self.case}. Rename the segment."
            raise InputError(msg)
        if (self.suv_factor is not None) != (self.units == "bqml"):
            msg = (
                f"Case {self.case} has units {self.units} and suv_factor {self.suv_factor}. Give a factor (SUV per "
                "Bq/ml) with bqml, and none with suv."
            )
            raise InputError(msg)


@dataclass(frozen=True)
class Manifest:
    """All cases of a cohort.

    Attributes:
        entries: In the order of the table.
        notes: What whoever proposed it wants said; not written.

    Raises:
        InputError: There is no case, or two have the same name.
    """

    entries: tuple[CohortEntry, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        names = [entry.case for entry in self.entries]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if not names or twice:
            found = f"{twice[0]} more than once" if twice else "none"
            msg = f"Expected at least one case, each with a name of its own; found {found}. Correct the manifest."
            raise InputError(msg)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all lines and the contents of all files; where the files lie does not matter.

        Reads every file; those that did not change since (size and time) are not read again by this process.

        Raises:
            InputError: A file is absent or cannot be read.
        """
        whole = hashlib.sha256()
        for entry in sorted(self.entries, key=lambda one: one.case):
            words = (
                entry.case,
                entry.patient,
                entry.quality,
                entry.split,
                entry.label_names,
                entry.series,
                entry.units,
                entry.suv_factor,
                content_hash(entry.image),
                content_hash(entry.label),
            )
            whole.update(repr(words).encode())
        return whole.hexdigest()

    def of_split(self, split: Split) -> tuple[CohortEntry, ...]:
        """The cases used for one purpose."""
        return tuple(entry for entry in self.entries if entry.split == split)


def read_manifest(path: Path | str) -> Manifest:
    """Read a table with , or ; between its columns, with or without a byte order mark. No image is opened.

    Raises:
        InputError: There is no such file; it is too large, is no UTF-8 text, lacks a column, or a line holds what is
            not allowed there.

    Warns:
        SegAnyPETWarning: It has columns that mean nothing here.
    """
    path = Path(path)
    rows = _rows(read_bounded_text(path, what="a manifest (CSV)", most_bytes=LARGEST_BYTES), path)
    header = [name.strip().lower() for name in next(rows, [])]
    missing = [name for name in NEEDED_COLUMNS if name not in header]
    if missing or len(set(header)) < len(header):
        found = ", ".join(header)[:200] or "nothing"
        msg = f"Expected the columns {', '.join(NEEDED_COLUMNS)} once each in {path}; found {found}. Correct line 1."
        raise InputError(msg)
    unknown = [name for name in header if name and name not in NEEDED_COLUMNS + OTHER_COLUMNS]
    if unknown:
        known = ", ".join(NEEDED_COLUMNS + OTHER_COLUMNS)
        msg = f"{path.name} has columns that are not used: {', '.join(unknown)[:200]}. Those that are: {known}."
        warnings.warn(msg, SegAnyPETWarning, stacklevel=2)
    entries = []
    for number, row in enumerate(rows, start=2):
        if any(cell.strip() for cell in row):
            entries.append(_entry(dict(zip(header, (cell.strip() for cell in row), strict=False)), path, number))
        if len(entries) > MOST_ROWS:
            msg = f"{path} has more than {MOST_ROWS} cases. Split it."
            raise InputError(msg)
    return Manifest(tuple(entries))


def write_manifest(manifest: Manifest, path: Path | str) -> Path:
    """Write the table (UTF-8, commas), whole or not at all; paths relative to its folder where they can be.

    Raises:
        OutputError: It cannot be written.
    """
    path = Path(path)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    used = [name for name in OTHER_COLUMNS if any(_other_cells(entry)[name] for entry in manifest.entries)]
    writer.writerow([*NEEDED_COLUMNS, *used])
    for entry in manifest.entries:
        places = [_relative(place, path.parent) for place in (entry.image, entry.label)]
        others = _other_cells(entry)
        writer.writerow(
            [entry.case, entry.patient, *places, entry.quality, entry.split, *(others[name] for name in used)]
        )
    with write_atomically(path) as temporary:
        temporary.write_text(stream.getvalue(), encoding="utf-8", newline="")
    return path


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or over those of all files below a folder.

    Raises:
        InputError: It is absent or cannot be read.
    """
    try:
        if path.is_dir():
            return _joined(_file_hash(*_stamp(file)) for file in candidate_files(path))
        return _file_hash(*_stamp(path))
    except OSError as error:
        msg = f"Expected a file that can be read; {path} cannot ({error.strerror}). Check the manifest."
        raise InputError(msg) from error


def _joined(hashes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def _stamp(path: Path) -> tuple[Path, int, int]:
    facts = path.stat()
    return path, facts.st_size, facts.st_mtime_ns


@lru_cache(maxsize=200_000)
def _file_hash(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _rows(text: str, path: Path) -> Iterator[list[str]]:
    first = text.split("\n", 1)[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        msg = f"{path} cannot be read as a table: {error}. Save it as CSV again."
        raise InputError(msg) from error
    longest = max((len(cell) for row in rows for cell in row), default=0)
    if longest > LONGEST_CELL:
        msg = (
            f"{path} has a cell of {longest} characters; at most {LONGEST_CELL} are read. A quotation mark may be open."
        )
        raise InputError(msg)
    return iter(rows)


def _entry(cells: Mapping[str, str], path: Path, number: int) -> CohortEntry:
    where = f"Line {number} of {path.name}"
    empty = [name for name in NEEDED_COLUMNS if not cells.get(name)]
    if empty:
        msg = f"{where} has no {', '.join(empty)}. Fill in every needed column."
        raise InputError(msg)
    factor = cells.get("suv_factor", "")
    try:
        number_read = float(factor.replace(",", ".")) if factor else None
    except ValueError:
        number_read = math.nan
    if number_read is not None and not 0 < number_read < 1:
        msg = f"{where}: expected suv_factor, SUV per Bq/ml, between 0 and 1 (about 2e-4); found {factor[:40]!r}."
        raise InputError(msg)
    names = (name.strip() for name in cells.get("label_name", "").split(NAME_SEPARATOR))
    try:
        return CohortEntry(
            cells["case"],
            cells["patient"],
            _place(cells["image"], path),
            _place(cells["label"], path),
            cells["quality"].upper(),  # type: ignore[arg-type]  # checked by the entry itself
            cells["split"].lower(),  # type: ignore[arg-type]  # likewise
            tuple(name for name in names if name),
            cells.get("series", ""),
            cells.get("units", "").lower() or "suv",  # type: ignore[arg-type]  # likewise
            number_read,
        )
    except InputError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from error


def _place(cell: str, path: Path) -> Path:
    """A path as typed on any system, from the manifest's folder; `..` may lead out of it, as the user says."""
    place = cell if os.name == "nt" else cell.replace("\\", "/")
    if "\0" in place:
        msg = "a path holds a character that no path has"
        raise InputError(msg)
    return Path(os.path.normpath(path.parent.absolute() / place))


def _relative(place: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(place, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return place.absolute().as_posix()


def _other_cells(entry: CohortEntry) -> dict[str, str]:
    return {
        "label_name": NAME_SEPARATOR.join(entry.label_names),
        "series": entry.series,
        "units": entry.units if entry.units != "suv" else "",
        "suv_factor": "" if entry.suv_factor is None else f"{entry.suv_factor:.17g}",
    }
