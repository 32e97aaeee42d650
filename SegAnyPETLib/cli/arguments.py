"""Coordinates on the command line: parsing, and the frames they may be given in."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import product
from typing import Any, Literal

import numpy as np

from SegAnyPETLib.geometry import Grid

Frame = Literal["lps", "ras", "ijk"]
FRAMES: tuple[Frame, ...] = ("lps", "ras", "ijk")
KINDS = ("bw", "lbm", "bsa", "ibw")
Triple = tuple[float, float, float]

_NEGATIVE_COORDINATE = re.compile(r"-[\d.]")


@dataclass(frozen=True)
class PointArgument:
    """A click as typed: three numbers in the frame given by `--frame`, and its sign."""

    xyz: Triple
    positive: bool


@dataclass(frozen=True)
class BoxArgument:
    """Two opposite corners as typed, in the frame given by `--frame`."""

    first: Triple
    second: Triple


def protect_negative_coordinates(argv: Sequence[str]) -> list[str]:
    """Let argparse take "-10,20,30" for a value: with a space in front it is no option."""
    return [f" {text}" if _NEGATIVE_COORDINATE.match(text) else text for text in argv]


def parse_point(text: str) -> PointArgument:
    """Parse "X,Y,Z" or "X,Y,Z,+" or "X,Y,Z,-"."""
    *numbers, last = text.strip().split(",")
    sign = last.strip()
    if sign not in {"+", "-"}:
        numbers, sign = [*numbers, last], "+"
    return PointArgument(_triple(numbers, text), positive=sign == "+")


def parse_box(text: str) -> BoxArgument:
    """Parse "X1,Y1,Z1,X2,Y2,Z2"."""
    numbers = text.strip().split(",")
    if len(numbers) != 6:
        msg = f"expected six numbers X1,Y1,Z1,X2,Y2,Z2; found {text.strip()!r}"
        raise argparse.ArgumentTypeError(msg)
    return BoxArgument(_triple(numbers[:3], text), _triple(numbers[3:], text))


def parse_stated(text: str) -> tuple[str, Any]:
    """Parse "NAME=VALUE", where NAME is a field of `StatedValues`, for example patient_weight_kg=72."""
    name, separator, value = text.strip().partition("=")
    try:
        parse = _stated_fields()[name]
        return name, parse(value)
    except (KeyError, ValueError) as error:
        msg = f"expected NAME=VALUE with a NAME out of {', '.join(_stated_fields())}; found {text.strip()!r}"
        if separator and name in _stated_fields():
            msg = f"expected a value for {name} that can be read (times as 2024-05-31T09:30:00); found {value!r}"
        raise argparse.ArgumentTypeError(msg) from error


def _stated_fields() -> dict[str, Callable[[str], Any]]:
    """The fields of `StatedValues` by name, each with what reads it from text."""
    from SegAnyPETLib.suv import StatedValues

    readers: dict[str, Callable[[str], Any]] = {
        "float | None": float,
        "str | None": str,
        "datetime | None": datetime.fromisoformat,
        "bool | None": _parse_yes_no,
    }
    return {field.name: readers[str(field.type)] for field in fields(StatedValues)}


def _parse_yes_no(text: str) -> bool:
    if text.lower() not in {"yes", "no", "true", "false"}:
        raise ValueError(text)
    return text.lower() in {"yes", "true"}


def to_lps(xyz: Triple, *, frame: Frame, grid: Grid) -> Triple:
    """A typed coordinate in LPS mm; "ijk" are continuous voxel indices of `grid`."""
    a, b, c = xyz
    if frame == "lps":
        return xyz
    if frame == "ras":
        return -a, -b, c
    x, y, z = (float(value) for value in grid.kji_to_lps((c, b, a)))
    return x, y, z


def box_to_lps(box: BoxArgument, *, frame: Frame, grid: Grid) -> tuple[Triple, Triple]:
    """Lowest and highest LPS mm of the box's eight corners; larger than the box where "ijk" axes are oblique."""
    pairs = zip(box.first, box.second, strict=True)
    corners = np.array([to_lps((a, b, c), frame=frame, grid=grid) for a, b, c in product(*pairs)])
    (x1, y1, z1), (x2, y2, z2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return (x1, y1, z1), (x2, y2, z2)


def _triple(numbers: Sequence[str], text: str) -> Triple:
    try:
        a, b, c = (float(number) for number in numbers)
    except ValueError:
        a = b = c = math.nan
    if not all(math.isfinite(value) for value in (a, b, c)):
        msg = f"expected numbers as X,Y,Z[,+|-]; found {text.strip()!r} (INPUT comes before the options)"
        raise argparse.ArgumentTypeError(msg)
    return a, b, c
