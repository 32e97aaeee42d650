"""One lesion as it stands, and what the lesions of all volumes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from SegAnyPETLib.mrml.click_history import LesionState
from SegAnyPETLib.mrml.engine import Engine
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.lesion_nodes import LesionNodes
from SegAnyPETLib.mrml.overlap import OverlapRule
from SegAnyPETLib.session.packed_mask import PackedMask


@dataclass(eq=False)
class Lesion:
    """One lesion now.

    Attributes:
        key: Its name for the engine and in the saved scene.
        segmentID: Of its segment.
        segment: The vtkSegment, which keeps name, colour and terminology even after it was deleted.
        nodes: What a person places.
        state: Clicks and result now in force.
        shown: What its segment holds, as far as is known.
        request: Number of the answer that is awaited.
        failure: Why the last answer did not come.
        unmeasurable: A mask that was found to have no measures.
        answered: The state that the engine's newest answer belongs to.
        surfaceOf: The mask its surface was made from.
        row: Where its segment was in the list when it was removed; -1 before.
    """

    key: str
    segmentID: str
    segment: Node
    nodes: LesionNodes
    state: LesionState
    shown: PackedMask
    request: int | None = None
    failure: str = ""
    unmeasurable: PackedMask | None = None
    answered: LesionState | None = None
    row: int = -1
    surfaceOf: PackedMask | None = None


@dataclass(eq=False)
class BookContext:
    """What all volumes of an editor share.

    Attributes:
        engine: Predicts.
        overlap: What a lesion does to other segments.
        beforeChange: Called before segments are rewritten, so that Slicer's own history can save its state.
        message: The newest notice to the person.
    """

    engine: Engine
    overlap: OverlapRule = "keep"
    beforeChange: list[Callable[[], None]] = field(default_factory=list)
    message: str = ""
