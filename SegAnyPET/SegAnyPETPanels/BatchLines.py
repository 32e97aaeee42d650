"""Studies of a run or of a search as rows of the table."""

import re
from collections import Counter

from SegAnyPETPanels.BatchTable import StudyLine


def linesOfRows(rows, places):
    """`JournalRow` objects for the table; places are the sources, below which studies lie."""
    titles = titlesOf([(row.key, row.source) for row in rows], places)
    return [
        StudyLine(
            row.key,
            row.state,
            titles[row.key],
            row.lesions,
            row.seconds,
            row.reason,
            isCorrected=row.is_corrected,
            place=row.source,
        )
        for row in rows
    ]


def linesOfFound(studies, places):
    """The studies of a search, as the command line gives them, for the table."""
    titles = titlesOf([(study["key"], study["source"]) for study in studies], places)
    return [
        StudyLine(
            study["key"],
            plannedState(study),
            titles[study["key"]],
            reason=" ".join(study["problems"] or study["doubts"]) or study["choice"],
            place=study["source"],
        )
        for study in studies
    ]


def plannedState(study):
    """The state of the journal that a study will have, or has."""
    if study["problems"]:
        return "skipped"
    if study["doubts"]:
        return "doubtful"
    return "waiting" if study["plan"] == "segment" else "done"


def titlesOf(studies, places):
    """What to call each study.

    Args:
        studies: Pairs of a study's key and the folder it lies in, which may be empty.
        places: The sources. What is the same in all rows says nothing.

    Returns:
        Key -> title; two studies of one folder are told apart by their keys.
    """
    short = {key: belowSource(place, places) for key, place in studies}
    counts = Counter(short.values())
    return {
        key: title if title and counts[title] == 1 else f"{title} {key[:6]}".strip() for key, title in short.items()
    }


def belowSource(place, places):
    """A folder without the source it lies below."""
    for source in sorted(places, key=len, reverse=True):
        if place.startswith(source):
            rest = place.removeprefix(source).strip("\\/ ")
            return rest or re.split(r"[\\/]", place.rstrip("\\/"))[-1]
    return place
