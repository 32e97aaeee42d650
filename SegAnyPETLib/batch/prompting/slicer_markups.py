"""Points and ROIs of a `.mrk.json` file as Slicer saves it.

Clicks that the SegAnyPET module placed carry their order in the description and, in the label that Slicer made of the
node's name, their lesion and sign ("Lesion 1 +-3"). In any other file each control point is a lesion; points with the
same label are one. A point says that it is background by a label or description that starts with "-" or is one of
`NEGATIVE_WORDS`. A ROI becomes a box along the patient's axes that holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.batch.prompting.gathered import GatheredLesion
from SegAnyPETLib.data.bounded_text import read_bounded_text
from SegAnyPETLib.errors import InputError, PromptError
from SegAnyPETLib.geometry import LPS_FROM_RAS
from SegAnyPETLib.session.prompts import Box, Point

ENDING = ".mrk.json"
ORIGIN = "Slicer markups"
NEGATIVE_WORDS = ("negative", "background")
MOST_POINTS = 100_000
_OUR_CLICK = re.compile(r"SegAnyPET click (\d{1,9})")
_OUR_LABEL = re.compile(r"(?P<lesion>.+) (?P<sign>[+-])-\d+")
_OUR_FILE = re.compile(r"(?P<lesion>.+?) ?(?P<sign>[+-]|%2B)?")
_FRAMES = {"LPS": np.eye(3), "RAS": LPS_FROM_RAS[:3, :3]}

_Fields = Mapping[str, Any]  # JSON values


def read_slicer_markups(path: Path, *, name: str) -> tuple[list[GatheredLesion], int]:
    """Read the lesions of a markups file.

    Args:
        path: A file ending in ``.mrk.json``.
        name: What a lesion is called that has no name in the file.

    Returns:
        The lesions, and how many control points were not placed and are left out.

    Raises:
        InputError: The file is no markups file, too large, or means something that cannot be a prompt.
    """
    markups = _markups_of(path)
    lesions: list[GatheredLesion] = []
    unplaced = 0
    for number, markup in enumerate(markups, start=1):
        frame = _frame(markup, number)
        if markup.get("type") == "ROI":
            box = _box(markup, frame, number)
            lesions.append(GatheredLesion(_own_name(markup, name), (box,), f"{ORIGIN}, ROI"))
            continue
        for point in _dicts(markup.get("controlPoints", []), "controlPoints"):
            if point.get("positionStatus", "defined") != "defined":
                unplaced += 1
                continue
            lesions.append(_clicked(point, frame, name=_own_name(markup, name)))
    return lesions, unplaced


def _markups_of(path: Path) -> list[_Fields]:
    try:
        content = json.loads(read_bounded_text(path, what="a prompt file"))
    except (ValueError, RecursionError) as error:
        msg = f"Expected a markups file as Slicer saves it; found text that is no JSON ({error}). Save it again."
        raise InputError(msg) from error
    if not isinstance(content, dict) or not isinstance(content.get("markups"), list):
        msg = "Expected a markups file as Slicer saves it, with the field 'markups'; found other JSON. Save it again."
        raise InputError(msg)
    markups = _dicts(content["markups"], "markups")
    points = sum(len(m.get("controlPoints") or ()) for m in markups)
    if points > MOST_POINTS:
        msg = f"Expected at most {MOST_POINTS} control points in a markups file; found {points}."
        raise InputError(msg)
    return markups


def _dicts(values: object, field: str) -> list[_Fields]:
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        msg = f"Expected a list of objects as '{field}' of a markups file; found something else. Save it again."
        raise InputError(msg)
    return values


def _frame(markup: _Fields, number: int) -> NDArray[np.float64]:
    """3 x 3 matrix from the file's coordinates to LPS."""
    system, units = markup.get("coordinateSystem", "LPS"), markup.get("coordinateUnits", "mm")
    if system not in _FRAMES or units != "mm":
        msg = (
            f"Expected markups in LPS or RAS, in mm; markup {number} is in {system!r}, {units!r}. Save it from Slicer."
        )
        raise InputError(msg)
    return _FRAMES[system]


def _clicked(point: _Fields, frame: NDArray[np.float64], *, name: str) -> GatheredLesion:
    """A control point as a lesion with one click."""
    label, description = str(point.get("label") or ""), str(point.get("description") or "")
    order = _OUR_CLICK.fullmatch(description)
    if order is None:
        positive = not any(text.startswith("-") or text.lower() in NEGATIVE_WORDS for text in (label, description))
        lesion = label.lstrip("-").strip() or name
        if label.lower() in NEGATIVE_WORDS:
            lesion = name
    else:
        match = _OUR_LABEL.fullmatch(label) or _OUR_FILE.fullmatch(name)
        lesion, sign = (match["lesion"], match["sign"]) if match else (name, "+")
        positive = sign != "-"
    click = Point(_vector(point.get("position"), frame, "the position of a control point"), positive)
    # Clicks of the module were given in the order of their numbers, over both nodes (and files) of a lesion.
    return GatheredLesion(lesion, (click,), ORIGIN, order=int(order[1]) if order else 0)


def _own_name(markup: _Fields, name: str) -> str:
    return str(markup.get("name") or "").strip() or name


def _box(markup: _Fields, frame: NDArray[np.float64], number: int) -> Box:
    if markup.get("insideOut") or markup.get("roiType", "Box") not in ("Box", "BoundingBox"):
        msg = f"Expected a ROI that is a box and means its inside; markup {number} is not. Draw it anew in Slicer."
        raise InputError(msg)
    centre = np.asarray(_vector(markup.get("center"), frame, "the center of a ROI"))
    size = np.abs(_vector(markup.get("size"), np.eye(3), "the size of a ROI"))
    axes = _numbers(markup.get("orientation", np.eye(3).ravel().tolist()), 9, "the orientation of a ROI")
    # Columns are the ROI's own axes. The box that holds it reaches half of each axis's share along each world axis.
    half = np.abs(axes.reshape(3, 3)) @ size / 2
    try:
        return Box(tuple(centre - half), tuple(centre + half))
    except PromptError as error:
        raise InputError(str(error)) from error


def _vector(value: object, frame: NDArray[np.float64], what: str) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in frame @ _numbers(value, 3, what))
    return x, y, z


def _numbers(value: object, count: int, what: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        msg = f"Expected {what} as {count} finite numbers; found something else. Save the markups again from Slicer."
        raise InputError(msg)
    return numbers
