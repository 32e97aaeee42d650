"""Keeping identifiers out of what is noted and logged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from SegAnyPETLib.batch.study import FoundStudy

_UID = re.compile(r"\b[0-2](?:\.\d+){3,}\b")  # DICOM PS3.5 section 9: numbers and periods, first component 0 to 2
_PATH = re.compile(r"""(?<![\w/\\])(?:[A-Za-z]:)?(?:[\\/]+[^\s'",;:()\\/]+)+""")  # not the slash of g/ml
LONGEST_TEXT = 600
SHORTEST_DESCRIPTION = 8  # shorter ones, such as PET or WB AC, are words of messages and no names of people


def without_identifiers(text: str, study: FoundStudy, *paths: str) -> str:
    """The text with UIDs replaced by the study's key and every path by "(path)".

    Args:
        text: A message for people.
        study: The study it is about; its own files and UIDs are found whatever they look like.
        paths: Others that are known to occur.
    """
    for path in sorted({*_paths_of(study), *paths}, key=len, reverse=True):
        if len(path) > 1:
            text = text.replace(path, "(path)")
    for series in (study.pet, study.ct):
        if series is not None and len(series.description) >= SHORTEST_DESCRIPTION:
            text = text.replace(series.description, "(description)")
    text = text.replace(study.study_instance_uid, study.key) if study.study_instance_uid else text
    text = _PATH.sub("(path)", _UID.sub(f"(UID of {study.key})", text))
    text = re.sub(r"\(path\)(?:[\\/][^\s'\",;:()]+)+", "(path)", text)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " ..."


def _paths_of(study: FoundStudy) -> set[str]:
    paths = {study.source}
    for series in (study.pet, study.ct):
        for file in series.files if series is not None else ():
            paths |= {str(file), str(file.parent)}
    return paths
