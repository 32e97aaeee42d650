"""The coded meaning of a segment as Slicer keeps it, in files and in the scene.

It is one line of text: "list~category~type~type modifier~list of regions~region~region modifier", each code as
"scheme^value^meaning". Slicer looks terms up by code and tells the list by its name.
"""

from __future__ import annotations

from SegAnyPETLib.data.segment import Code, Terminology

TYPE_LIST = "Segmentation category and type - DICOM master list"
REGION_LIST = "Anatomic codes - DICOM master list"
NO_CODE = "^^"
PARTS = 7


def slicer_terminology_entry(terminology: Terminology) -> str:
    """The text of a segment's `TerminologyEntry` tag."""
    typed = "~".join(_text(code) for code in (terminology.category, terminology.type, terminology.type_modifier))
    return f"{TYPE_LIST}~{typed}~{REGION_LIST}~{_text(terminology.region)}~{NO_CODE}"


def terminology_of_entry(entry: str) -> Terminology | None:
    """The terminology in a `TerminologyEntry` tag, None where it holds none. A region's modifier is left aside."""
    parts = entry.split("~")
    if len(parts) != PARTS:
        return None
    category, kind, modifier, region = (_code(parts[n]) for n in (1, 2, 3, 5))
    if category is None or kind is None:
        return None
    return Terminology(category, kind, region=region, type_modifier=modifier)


def _text(code: Code | None) -> str:
    return NO_CODE if code is None else f"{code.scheme}^{code.value}^{code.meaning}"


def _code(text: str) -> Code | None:
    """None where Slicer has no code, or one without scheme, value or meaning."""
    parts = text.split("^")
    if len(parts) != 3 or not all(part.strip() for part in parts):
        return None
    scheme, value, meaning = parts
    return Code(value, scheme, meaning)
