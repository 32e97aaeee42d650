"""What a panel shows of the lesions: one row each."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal

from SegAnyPETLib.data.segment import Terminology
from SegAnyPETLib.errors import SUVError
from SegAnyPETLib.session import ClickHint
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv import SUVVolume
from SegAnyPETLib.suv.measures import LesionMeasures, compute_measures
from SegAnyPETLib.suv.peak import PEAK_RADIUS_MM

if TYPE_CHECKING:
    from SegAnyPETLib.mrml.lesion import Lesion

RowState = Literal["ready", "working", "empty", "failed"]


@dataclass(frozen=True)
class LesionRow:
    """One lesion.

    Attributes:
        segmentID: Of its segment.
        name: Of its segment.
        colorRGB: 0 to 1 each.
        terminology: What it is; None where the segment does not say.
        measures: None while they are not known, and for an empty lesion.
        score: The model's confidence, 0 to 1; None where no model made the mask.
        volumeIntervalMl: Where the true volume is expected; None without calibration.
        clicks: Number of prompts.
        state: ``working`` while an answer is awaited; the measures are then those of the mask before.
        message: Why it failed, or what the model wants to be known; empty in general.
        hint: Where to look and perhaps click next.
    """

    segmentID: str
    name: str
    colorRGB: tuple[float, float, float]
    terminology: Terminology | None
    measures: LesionMeasures | None
    score: float | None
    volumeIntervalMl: tuple[float, float] | None
    clicks: int
    state: RowState
    message: str = ""
    hint: ClickHint | None = None


def rowOf(lesion: Lesion, *, terminology: Terminology | None) -> LesionRow:
    """A lesion as it stands."""
    result = lesion.state.result
    state: RowState = "empty" if lesion.shown.box.is_empty else "ready"
    if lesion.request is not None:
        state = "working"
    elif lesion.failure:
        state = "failed"
    notices = result.notices if result is not None else ()
    red, green, blue = lesion.segment.GetColor()
    return LesionRow(
        segmentID=lesion.segmentID,
        name=str(lesion.segment.GetName()),
        colorRGB=(red, green, blue),
        terminology=terminology,
        measures=result.measures if result is not None else None,
        score=result.score if result is not None else None,
        volumeIntervalMl=result.volumeIntervalMl if result is not None else None,
        clicks=len(lesion.state.clicks),
        state=state,
        message=lesion.failure or " ".join(notices),
        hint=result.hint if result is not None else None,
    )


def measureMask(image: SUVVolume, mask: PackedMask) -> LesionMeasures | None:
    """What `compute_measures` says of the mask, from the part of the image around it; None for an empty mask."""
    if mask.box.is_empty:
        return None
    margin = ceil(PEAK_RADIUS_MM / min(image.grid.spacing_ijk_mm)) + 3
    box = mask.box.expanded(margin).intersection(image.grid.box)
    part = SUVVolume(image.array[box.slices], image.grid.crop(box), image.kind)
    try:
        return compute_measures(part, mask.inside(box))
    except SUVError:
        return None
