"""What an untrusted DICOM object says about a segment: its label, codes and tracking UID, made fit for `Segment`."""

from __future__ import annotations

import re
from contextlib import suppress

from pydicom.dataset import Dataset

from SegAnyPETLib.data.dicom_values import faults_named, items, tag_text, text
from SegAnyPETLib.data.segment import ANATOMICAL_STRUCTURE, LONGEST_LABEL, Code, Terminology
from SegAnyPETLib.errors import OutputError

_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
LONGEST_UID = 64
UNSPECIFIED_ANATOMY = Terminology(ANATOMICAL_STRUCTURE, ANATOMICAL_STRUCTURE)


def decoded_text(dataset: Dataset, keyword: str) -> str:
    """The value of a text element in its own character set, several values joined again; empty where there is none.

    Raises:
        DICOMError: The element cannot be read.
    """
    with faults_named(f"{keyword} {tag_text(keyword)} cannot be read"):
        value = dataset.get(keyword)
        if value is None:
            return ""
        return value if isinstance(value, str) else "\\".join(str(part) for part in value)


def label_of(dataset: Dataset, keyword: str, *, otherwise: str) -> str:
    """A label that `Segment` takes: one printable line of at most 64 characters.

    Raises:
        DICOMError: The element cannot be read.
    """
    words = "".join(c if c.isprintable() else " " for c in decoded_text(dataset, keyword)).split()
    return " ".join(words)[:LONGEST_LABEL].strip() or otherwise


def code_of(dataset: Dataset, keyword: str) -> Code | None:
    """The first code of a code sequence; None where there is none, or one that `Code` refuses.

    Raises:
        DICOMError: The sequence cannot be read.
    """
    for item in items(dataset, keyword)[:1]:
        value = next((v for k in ("CodeValue", "LongCodeValue", "URNCodeValue") if (v := text(item, k))), "")
        with suppress(OutputError):
            return Code(value, text(item, "CodingSchemeDesignator") or "", decoded_text(item, "CodeMeaning").strip())
    return None


def terminology_of(dataset: Dataset, *, type_keyword: str) -> Terminology | None:
    """The meaning of a segment, None where category or type is absent.

    Args:
        dataset: An item that describes a segment or a region.
        type_keyword: Where it has the property type.

    Raises:
        DICOMError: A sequence cannot be read.
    """
    category, kind = code_of(dataset, "SegmentedPropertyCategoryCodeSequence"), code_of(dataset, type_keyword)
    if category is None or kind is None:
        return None
    modifier = code_of(items(dataset, type_keyword)[0], "SegmentedPropertyTypeModifierCodeSequence")
    return Terminology(category, kind, region=code_of(dataset, "AnatomicRegionSequence"), type_modifier=modifier)


def uid_of(dataset: Dataset, keyword: str) -> str | None:
    """A UID, None where there is none or something that is no UID.

    Raises:
        DICOMError: The element cannot be read.
    """
    uid = text(dataset, keyword)
    return uid if uid is not None and len(uid) <= LONGEST_UID and _UID.fullmatch(uid) else None
