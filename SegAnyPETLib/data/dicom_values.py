"""Values out of untrusted DICOM headers.

Elements are decoded here from their raw bytes, not by pydicom's converters: those warn, raise many exception
types and round trips through text; a hostile header must only ever give `DICOMError`.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag

from SegAnyPETLib.errors import DICOMError, MissingTagError

# What pydicom 3 and its decoders raise on damaged input (found by fuzzing); anything else is a bug of ours.
PYDICOM_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_BINARY_FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6})\d*)?")
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_DATETIME = re.compile(r"(\d{8})(\d{2,6}(?:\.\d+)?)?([+-]\d{4})?")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")


@contextmanager
def faults_named(what: str) -> Iterator[None]:
    """Turn whatever pydicom raises inside into a `DICOMError` that starts with `what`; its warnings are dropped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PYDICOM_FAULTS as error:
        msg = f"{what}: {type(error).__name__}: {error}"
        raise DICOMError(msg) from error


def tag_text(keyword: str) -> str:
    """The tag of a DICOM keyword as the standard prints it, for example ``(0010,1030)``."""
    tag = Tag(_tag(keyword))
    return f"({tag.group:04X},{tag.element:04X})"


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of an element as stripped text; empty when it is absent or empty."""
    return raw_texts(dataset, _tag(keyword), vr=dictionary_VR(_tag(keyword)))


def text(dataset: Dataset, keyword: str) -> str | None:
    """The first value of an element as text; None when it is absent or empty."""
    values = texts(dataset, keyword)
    return values[0] if values and values[0] else None


def numbers(dataset: Dataset, keyword: str, *, count: int | None = None) -> tuple[float, ...]:
    """The values of an element as finite numbers; empty when it is absent or empty.

    Raises:
        DICOMError: A value is not a finite number, or there are not `count` of them.
    """
    words = [word for word in texts(dataset, keyword) if word]
    try:
        values = tuple(float(word) for word in words)
    except ValueError as error:
        msg = f"{keyword} {tag_text(keyword)} should be numeric; found {_shown(words)}. Repair or re-export the file."
        raise DICOMError(msg) from error
    if not all(math.isfinite(value) for value in values):
        msg = f"{keyword} {tag_text(keyword)} should be finite; found {_shown(words)}. Repair or re-export the file."
        raise DICOMError(msg)
    if values and count is not None and len(values) != count:
        msg = f"{keyword} {tag_text(keyword)} should have {count} values; found {_shown(words)}."
        raise DICOMError(msg)
    return values


def number(dataset: Dataset, keyword: str) -> float | None:
    """The only value of an element as a number; None when it is absent or empty.

    Raises:
        DICOMError: It is not one finite number.
    """
    values = numbers(dataset, keyword, count=1)
    return values[0] if values else None


def needed_number(dataset: Dataset, keyword: str, *, needed_for: str, advice: str) -> float:
    """The only value of an element as a number.

    Raises:
        MissingTagError: It is absent or empty.
        DICOMError: It is not one finite number.
    """
    value = number(dataset, keyword)
    if value is None:
        raise MissingTagError(keyword, tag_text(keyword), needed_for=needed_for, advice=advice)
    return value


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; empty when it is absent.

    Raises:
        DICOMError: The sequence cannot be parsed.
    """
    with faults_named(f"{keyword} {tag_text(keyword)} cannot be read"):
        if keyword not in dataset:
            return ()
        value = dataset[keyword].value
        return tuple(item for item in value or () if isinstance(item, Dataset))


def clock_time(dataset: Dataset, keyword: str) -> time | None:
    """A TM value; fractions, missing seconds or minutes, and the old HH:MM:SS are understood.

    Raises:
        DICOMError: The value is no time of day.
    """
    word = text(dataset, keyword)
    return None if word is None else parse_time(word, name=f"{keyword} {tag_text(keyword)}")


def calendar_date(dataset: Dataset, keyword: str) -> date | None:
    """A DA value; the old YYYY.MM.DD is understood.

    Raises:
        DICOMError: The value is no date.
    """
    word = text(dataset, keyword)
    return None if word is None else parse_date(word, name=f"{keyword} {tag_text(keyword)}")


def date_time(dataset: Dataset, keyword: str) -> datetime | None:
    """A DT value, timezone-aware when it carries an offset.

    Raises:
        DICOMError: The value is no date with a time.
    """
    word = text(dataset, keyword)
    return None if word is None else parse_datetime(word, name=f"{keyword} {tag_text(keyword)}")


def utc_offset(dataset: Dataset) -> timedelta | None:
    """Timezone Offset From UTC (0008,0201), the zone of the dates and times of the object.

    Raises:
        DICOMError: The value is no offset such as ``+0200``.
    """
    word = text(dataset, "TimezoneOffsetFromUTC")
    return None if word is None else _parse_offset(word, name="TimezoneOffsetFromUTC (0008,0201)")


def parse_time(word: str, *, name: str) -> time:
    """Parse a TM value; see `clock_time`."""
    match = _TIME.fullmatch(word)
    try:
        if match is None:
            raise ValueError(word)
        hour, minute, second = (int(group or 0) for group in match.groups()[:3])
        return time(hour, minute, min(second, 59), int((match[4] or "0").ljust(6, "0")))
    except ValueError as error:
        msg = f"{name} should be a time of day HHMMSS.FFFFFF; found {word!r}. Repair or re-export the file."
        raise DICOMError(msg) from error


def parse_date(word: str, *, name: str) -> date:
    """Parse a DA value; see `calendar_date`."""
    match = _DATE.fullmatch(word)
    try:
        if match is None:
            raise ValueError(word)
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError as error:
        msg = f"{name} should be a date YYYYMMDD; found {word!r}. Repair or re-export the file."
        raise DICOMError(msg) from error


def parse_datetime(word: str, *, name: str) -> datetime:
    """Parse a DT value of at least a whole date and an hour; see `date_time`."""
    match = _DATETIME.fullmatch(word)
    if match is None or match[2] is None:
        msg = f"{name} should be a date with a time YYYYMMDDHHMMSS; found {word!r}. Repair or re-export the file."
        raise DICOMError(msg)
    zone = None if match[3] is None else timezone(_parse_offset(match[3], name=name))
    return datetime.combine(parse_date(match[1], name=name), parse_time(match[2], name=name), tzinfo=zone)


def private_text(dataset: Dataset, *, group: int, creator: str, element: int, vendor: str) -> str | None:
    """A private value, looked up through its private creator.

    The creator names the block: creator ``X`` in (gggg,00bb) owns (gggg,bbee). Files that lost all creators of the
    group are read at block 10 if their Manufacturer is the vendor; a block owned by somebody else never is.

    Args:
        dataset: The header.
        group: Private group number, odd.
        creator: Name of the private creator.
        element: Last two hexadecimal digits of the element.
        vendor: Upper-case word the Manufacturer must contain where the creator is lost.
    """
    creators = [tag for tag in dataset.keys() if tag.group == group and 0x10 <= tag.element <= 0xFF]  # noqa: SIM118
    owners = {tag.element: owner for tag in sorted(creators) if (owner := raw_texts(dataset, tag, vr="LO"))}
    for block, owner in owners.items():
        if owner[0].casefold() == creator.casefold():
            return _first(raw_texts(dataset, group << 16 | block << 8 | element, vr="UN"))
    manufacturer = text(dataset, "Manufacturer") or ""
    if owners or vendor not in manufacturer.upper():
        return None
    return _first(raw_texts(dataset, group << 16 | 0x1000 | element, vr="UN"))


def raw_texts(dataset: Dataset, tag: int, *, vr: str) -> tuple[str, ...]:
    """The values at `tag` as stripped text, decoded as the file says or, where it does not say, as `vr`."""
    element = dataset.get_item(tag, keep_deferred=True)  # an empty value of unknown VR counts as deferred
    if element is None or element.value is None:
        return ()
    value = element.value
    if isinstance(value, bytes):
        known = element.VR if element.VR not in (None, "UN") else vr
        form = _BINARY_FORMATS.get(known)
        if form is not None:
            little = getattr(element, "is_little_endian", True)
            return _binary_words(value, form="<" + form if little else ">" + form)
        value = value.decode("ascii", "replace")
    elif not isinstance(value, str):
        value = "\\".join(str(part) for part in value) if hasattr(value, "__iter__") else str(value)
    stripped = value.strip(" \0\r\n\t")
    return tuple(word.strip(" \0\r\n\t") for word in stripped.split("\\")) if stripped else ()


def _binary_words(value: bytes, *, form: str) -> tuple[str, ...]:
    size = struct.calcsize(form)
    whole = len(value) // size * size
    return tuple(repr(number) for (number,) in struct.iter_unpack(form, value[:whole]))


def _parse_offset(word: str, *, name: str) -> timedelta:
    match = _OFFSET.fullmatch(word)
    offset = timedelta(hours=int(match[2]), minutes=int(match[3])) if match else timedelta(days=1)
    if match is None or offset > timedelta(hours=14):
        msg = f"{name} should carry an offset from UTC such as +0200; found {word!r}. Repair or re-export the file."
        raise DICOMError(msg)
    return -offset if match[1] == "-" else offset


def _first(values: tuple[str, ...]) -> str | None:
    return values[0] if values and values[0] else None


def _shown(words: list[str]) -> str:
    joined = "\\".join(words)
    return repr(joined if len(joined) <= 60 else joined[:57] + "...")


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag
