"""The basic confidentiality profile for the DICOM objects we write: SEG, measurement report, RT Structure Set.

Only what is known to be safe stays (an allow-list, `deidentify_table`), at any depth. UIDs become salted hashes, so
the objects of one run still refer to each other, and nobody without the salt can tell which study they came from.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from SegAnyPETLib.data import deidentify_table as table
from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.data.dicom_files import read_with_pixels
from SegAnyPETLib.data.dicom_values import faults_named, text, texts
from SegAnyPETLib.data.segment import Code
from SegAnyPETLib.errors import DICOMError, InputError
from SegAnyPETLib.version import __version__

LEAST_SALT_BYTES = 16
METHOD = "SegAnyPET: PS3.15 Basic Application Confidentiality Profile"
BASIC_PROFILE = Code("113100", "DCM", "Basic Application Confidentiality Profile")
CLEAN_STRUCTURED_CONTENT = Code("113104", "DCM", "Clean Structured Content Option")
OUR_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
)


@dataclass(frozen=True)
class _Rules:
    salt: bytes
    texts: frozenset[str]

    def digest(self, value: str) -> bytes:
        return hmac.new(self.salt, value.encode(), hashlib.sha256).digest()

    def uid(self, uid: str) -> str:
        """A UID of the standard itself stays; another becomes one of the form 2.25 (PS3.5 B.2)."""
        if _is_of_the_standard(uid):
            return uid
        return f"2.25.{int.from_bytes(self.digest(uid)[:16], 'big')}"

    def pseudonym(self, value: str) -> str:
        return f"ANON-{self.digest(value).hex()[:12].upper()}" if value else ""

    def lesion(self, tracking_uid: str) -> str:
        return f"Lesion {self.digest(tracking_uid).hex()[:8]}"


def deidentify(dataset: Dataset, *, salt: bytes, keep: Collection[str] = ()) -> Dataset:
    """Apply the profile to an object we wrote, in place.

    Patient ID and name become a pseudonym, the same for the same patient and salt; labels become numbers; dates are
    removed; comments of a report are removed. Codes stay where they are those of the standard.

    Args:
        dataset: A SEG, Comprehensive 3D SR or RT Structure Set, as written by this program.
        salt: At least 16 random bytes, one for all objects that shall refer to each other; to be kept secret.
        keep: Names of models and their versions, which may stay. Nothing a patient could be known by.

    Returns:
        The same data set.

    Raises:
        InputError: The salt is too short.
        DICOMError: It is an object of another kind, or damaged; it is then half-done and must not be used.

    Source:
        DICOM PS3.15 Annex E, Table E.1-1; options as in CID 7050.
    """
    if len(salt) < LEAST_SALT_BYTES:
        msg = f"Expected a salt of at least {LEAST_SALT_BYTES} bytes; found {len(salt)}. Make it with secrets."
        raise InputError(msg)
    sop_class = text(dataset, "SOPClassUID")
    if sop_class not in OUR_CLASSES:
        msg = f"Expected a SEG, a Comprehensive 3D SR or an RT Structure Set; found class {sop_class}. Leave it out."
        raise DICOMError(msg)
    rules = _Rules(salt, frozenset({*table.OUR_TEXTS, __version__, f"SegAnyPET {__version__}", *keep}))
    pseudonym = rules.pseudonym(text(dataset, "PatientID") or "")
    with faults_named("The object cannot be deidentified"):
        _clean(dataset, rules)
    dataset.PatientID = pseudonym
    dataset.PatientName = f"{pseudonym}^" if pseudonym else ""  # without a caret it is of a retired form
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    is_report = sop_class == OUR_CLASSES[2]
    options = [BASIC_PROFILE, CLEAN_STRUCTURED_CONTENT] if is_report else [BASIC_PROFILE]
    dataset.DeidentificationMethodCodeSequence = [_coded(code) for code in options]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    if hasattr(dataset, "file_meta"):
        dataset.file_meta = _clean_meta(dataset)
        dataset.preamble = bytes(128)
    return dataset


def deidentify_file(path: Path | str, *, salt: bytes, keep: Collection[str] = ()) -> Path:
    """Apply the profile to a file we wrote; it is replaced whole or not at all.

    Args:
        path: The file.
        salt: See `deidentify`.
        keep: See `deidentify`.

    Raises:
        InputError: The salt is too short.
        DICOMError: It cannot be read, or is an object of another kind.
        OutputError: It cannot be written.
    """
    path = Path(path)
    dataset = deidentify(read_with_pixels(path), salt=salt, keep=keep)
    with write_atomically(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
    return path


def _clean(dataset: Dataset, rules: _Rules) -> None:
    """Treat every element by the table; what stands together in an item is read before it is replaced."""
    names = _names_of_things(dataset, rules)
    for element_tag in list(dataset.keys()):
        keyword = "" if element_tag.is_private else keyword_for_tag(element_tag)
        if keyword == "ContentSequence":
            _clean_content(dataset, rules)
        elif keyword in table.SEQUENCES:
            for item in dataset[element_tag].value:
                _clean(item, rules)
        elif keyword in table.CODE_SEQUENCES:
            setattr(dataset, keyword, [_clean_code(item) for item in dataset[element_tag].value])
        else:
            value = names.get(keyword) if keyword in names else _value(dataset, keyword, rules)
            _put(dataset, element_tag, keyword, value)


def _put(dataset: Dataset, element_tag: int, keyword: str, value: object) -> None:
    if value is _KEEP:
        return
    del dataset[element_tag]
    if value is not None:
        setattr(dataset, keyword, value)


_KEEP = object()


def _value(dataset: Dataset, keyword: str, rules: _Rules) -> object:
    """What an element becomes: `_KEEP`, None to remove it, or a new value."""
    for names, treat in _TREATMENTS:
        if keyword in names:
            return treat(dataset, keyword, rules)
    return None


def _number(dataset: Dataset, keyword: str, _: _Rules) -> object:
    """Numbers written as text must be such; binary ones must not be declared as text."""
    declared, of_standard = dataset.get_item(keyword).VR, dictionary_VR(keyword)
    if of_standard in ("DS", "IS"):
        return _KEEP if all(_is_number(word) for word in texts(dataset, keyword) if word) else None
    # Implicit VR declares nothing; the standard may allow one of two.
    return _KEEP if declared is None or declared in of_standard else None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return set(word) <= set("0123456789+-.eE ")


def _uid(dataset: Dataset, keyword: str, rules: _Rules) -> object:
    found = text(dataset, keyword)
    return None if found is None else rules.uid(found)


def _class_uid(dataset: Dataset, keyword: str, _: _Rules) -> object:
    found = text(dataset, keyword)
    return found if found is not None and _is_of_the_standard(found) else None


def _code_string(dataset: Dataset, keyword: str, _: _Rules) -> object:
    return _KEEP if all(word in table.WORDS for word in texts(dataset, keyword) if word) else None


def _text(dataset: Dataset, keyword: str, rules: _Rules) -> object:
    found = [str(word) for word in texts(dataset, keyword)]
    return _KEEP if all(word in rules.texts for word in found) else table.TEXTS[keyword]


_Treatment = Callable[[Dataset, str, _Rules], object]
_TREATMENTS: tuple[tuple[Collection[str], _Treatment], ...] = (
    (table.NUMBERS, _number),
    (table.UIDS, _uid),
    (table.CLASS_UIDS, _class_uid),
    (table.CODE_STRINGS, _code_string),
    (table.TEXTS, _text),
    (table.EMPTY, lambda _dataset, _keyword, _rules: ""),
    (table.DUMMIES, lambda _dataset, keyword, _rules: table.DUMMIES[keyword]),
)


def _names_of_things(dataset: Dataset, rules: _Rules) -> dict[str, str]:
    """What people typed as names of segments and regions, replaced by their numbers."""
    names: dict[str, str] = {}
    if "SegmentNumber" in dataset:
        names["SegmentLabel"] = f"Segment {int(dataset.SegmentNumber)}"
        names["TrackingID"] = rules.lesion(text(dataset, "TrackingUID") or "")
    if "ROINumber" in dataset:
        names["ROIName"] = f"Region {int(dataset.ROINumber)}"
    return names


def _clean_code(item: Dataset) -> Dataset:
    """The code with the meaning of the standard; an unknown one, which might be anything, becomes ``Other``."""
    value, scheme = text(item, "CodeValue") or "", text(item, "CodingSchemeDesignator") or ""
    meanings = table.standard_codes().get((value, scheme))
    if meanings is None:
        return _coded(table.OTHER)
    said = text(item, "CodeMeaning") or ""
    cleaned = _coded(Code(value, scheme, "-"))
    cleaned.CodeMeaning = said if said in meanings else min(meanings)
    for keyword in table.CODE_SEQUENCES:
        if keyword in item:
            setattr(cleaned, keyword, [_clean_code(nested) for nested in item[keyword].value])
    return cleaned


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def _clean_content(dataset: Dataset, rules: _Rules) -> None:
    """The content of a report: items of known kinds and names; of its texts only those that say nothing of a person."""
    kept: list[Dataset] = []
    tracking = next((text(i, "UID") for i in dataset.ContentSequence if _name(i) == table.TRACKING_UID), None)
    for item in dataset.ContentSequence:
        if text(item, "ValueType") not in table.REPORT_VALUES:
            continue
        if "ConceptNameCodeSequence" in item and _name(item) not in table.standard_codes():
            continue
        said = None
        if text(item, "ValueType") == "TEXT":
            said = _said(item, tracking, rules)
            if said is None:
                continue
        _clean(item, rules)
        if said is not None:
            item.TextValue = said
        kept.append(item)
    dataset.ContentSequence = kept


def _said(item: Dataset, tracking_uid: str | None, rules: _Rules) -> str | None:
    if _name(item) == table.TRACKING_IDENTIFIER:
        return rules.lesion(tracking_uid or "")
    if _name(item) not in table.REPORT_TEXTS:
        return None
    found = str(item.get("TextValue", ""))
    return found if found in rules.texts else "REMOVED"


def _name(item: Dataset) -> tuple[str, str]:
    for code in item.get("ConceptNameCodeSequence", ())[:1]:
        return text(code, "CodeValue") or "", text(code, "CodingSchemeDesignator") or ""
    return "", ""


def _clean_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return meta


def _is_of_the_standard(uid: str) -> bool:
    return UID(uid, validation_mode=IGNORE).name != uid
