"""Prompts, masks, measures and errors as JSON fields and bytes, and back, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from SegAnyPETLib import errors
from SegAnyPETLib.errors import SegAnyPETError, WorkerError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session.click_hint import ClickHint
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prompts import Box, Point, Prompt, SeedMask
from SegAnyPETLib.suv import LesionMeasures

Fields = Mapping[str, Any]  # JSON values
Lps = tuple[float, float, float]
Value = TypeVar("Value")


def understood(make: Callable[[], Value], *, what: str) -> Value:
    """What `make` builds from a received message.

    Raises:
        WorkerError: The message does not hold what it should.
    """
    try:
        return make()
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError, errors.GeometryError) as error:
        msg = f"Expected {what} in a message of the engine; found something else ({type(error).__name__}: {error})."
        raise WorkerError(msg) from error


def prompts_to_message(prompts: Sequence[Prompt]) -> tuple[list[Fields], bytes]:
    """Fields, one per prompt, and the bits of the seed masks one after the other."""
    fields: list[Fields] = []
    bits: list[bytes] = []
    for prompt in prompts:
        if isinstance(prompt, Point):
            fields.append({"is": "point", "lps_mm": prompt.lps_mm, "positive": prompt.positive})
        elif isinstance(prompt, Box):
            fields.append({"is": "box", "lps_mm_min": prompt.lps_mm_min, "lps_mm_max": prompt.lps_mm_max})
        else:
            fields.append({"is": "seed", **mask_to_fields(prompt.packed)})
            bits.append(prompt.packed.bits)
    return fields, b"".join(bits)


def prompts_from_message(fields: Sequence[Fields], payload: bytes) -> tuple[Prompt, ...]:
    """The prompts; the inverse of `prompts_to_message`.

    Raises:
        WorkerError: These are no prompts.
    """

    def make() -> tuple[Prompt, ...]:
        prompts: list[Prompt] = []
        used = 0
        for entry in fields:
            if entry["is"] == "point":
                prompts.append(Point(entry["lps_mm"], positive=entry["positive"]))
            elif entry["is"] == "box":
                prompts.append(Box(entry["lps_mm_min"], entry["lps_mm_max"]))
            else:
                size = _bytes_of(box_from_fields(entry["box"]))
                prompts.append(SeedMask.from_packed(mask_from_message(entry, payload[used : used + size])))
                used += size
        return tuple(prompts)

    return understood(make, what="prompts")


def rounded(lps_mm: Lps) -> Lps:
    """A place, to the micrometre."""
    x, y, z = (round(float(value), 3) for value in lps_mm)
    return x, y, z


def to_micrometre(prompt: Prompt) -> Prompt:
    """A point with its place rounded; other prompts as they are."""
    return Point(rounded(prompt.lps_mm), positive=prompt.positive) if isinstance(prompt, Point) else prompt


def box_to_fields(box: VoxelBox) -> list[Sequence[int]]:
    """A box as two corners."""
    return [box.start_kji, box.stop_kji]


def box_from_fields(fields: Sequence[Sequence[int]]) -> VoxelBox:
    """The inverse of `box_to_fields`."""
    start, stop = ((int(k), int(j), int(i)) for k, j, i in fields)
    return VoxelBox(start, stop)


def mask_to_fields(mask: PackedMask) -> Fields:
    """All of a mask but its bits."""
    return {"shape_kji": mask.shape_kji, "box": box_to_fields(mask.box)}


def mask_from_message(fields: Fields, bits: bytes) -> PackedMask:
    """The mask.

    Raises:
        WorkerError: Box, shape and bits do not fit each other.
    """

    def make() -> PackedMask:
        k, j, i = (int(n) for n in fields["shape_kji"])
        return PackedMask((k, j, i), box_from_fields(fields["box"]), bits)

    mask = understood(make, what="a mask")
    if mask.box.intersection(VoxelBox.of_shape(mask.shape_kji)) != mask.box or len(bits) != _bytes_of(mask.box):
        msg = f"Expected {mask.box} in {mask.shape_kji} with {_bytes_of(mask.box)} bytes; found {len(bits)} bytes."
        raise WorkerError(msg)
    return mask


def grid_to_fields(grid: Grid) -> Fields:
    """A grid."""
    return asdict(grid)


def grid_from_fields(fields: Fields) -> Grid:
    """The inverse of `grid_to_fields`.

    Raises:
        WorkerError: This is no grid.
    """
    return understood(lambda: Grid(**fields), what="a grid")


def measures_from_fields(fields: Fields | None) -> LesionMeasures | None:
    """The inverse of `asdict`; None stays None.

    Raises:
        WorkerError: These are no measures.
    """
    if fields is None:
        return None

    def make() -> LesionMeasures:
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        return LesionMeasures(**values)

    return understood(make, what="measures")


def hint_from_fields(fields: Fields | None) -> ClickHint | None:
    """The inverse of `asdict`; None stays None.

    Raises:
        WorkerError: This is no hint.
    """
    if fields is None:
        return None

    def make() -> ClickHint:
        x, y, z = fields["lps_mm"]
        return ClickHint(**{**fields, "lps_mm": (float(x), float(y), float(z))})

    return understood(make, what="a hint")


def error_to_fields(error: SegAnyPETError) -> Fields:
    """The error's class, words, and the facts it carries as attributes."""
    facts = {name: value for name, value in vars(error).items() if isinstance(value, (str, int, float, bool))}
    return {"class": type(error).__name__, "message": str(error), "facts": facts}


def error_from_fields(fields: Fields) -> SegAnyPETError:
    """The same error again, by the name of its class; a `WorkerError` where the name is none of ours.

    Raises:
        WorkerError: This is no error.
    """

    def make() -> SegAnyPETError:
        found = vars(errors).get(fields["class"])
        kind = found if isinstance(found, type) and issubclass(found, SegAnyPETError) else WorkerError
        error = kind.__new__(kind, str(fields["message"]))  # constructors differ; the words are made already
        vars(error).update(fields["facts"])
        return error

    return understood(make, what="an error")


def _bytes_of(box: VoxelBox) -> int:
    return (int(np.prod(box.shape_kji, dtype=np.int64)) + 7) // 8
