"""Segments that were changed elsewhere: painted, undone in the Segment Editor, or deleted.

Such a change becomes a step of our history. Where Slicer's own undo brings back just what steps of ours had before (or
after) them, these steps count as undone (or redone), with their clicks: so both histories agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import numpy as np

from SegAnyPETLib.mrml.click_history import Change, LesionState, Result, Step
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.lesion import Lesion
from SegAnyPETLib.mrml.lesion_book import LesionBook
from SegAnyPETLib.mrml.segment_updates import binaryName
from SegAnyPETLib.mrml.segments import labelsOf, packedFromSegment, partFromSegment
from SegAnyPETLib.session.packed_mask import PackedMask

MOST_AT_ONCE = 20  # steps; the Segment Editor keeps 10, and its undo may be pressed often before we look
Found = Mapping[str, PackedMask | None]  # key of a lesion -> what its segment now holds; None: it is gone
States = Mapping[str, LesionState | None]  # key of a lesion -> where it is to be brought; None: away


def followEdits(book: LesionBook) -> bool:
    """Compare the segments with what we showed, and follow; True when something had changed."""
    found = _differences(book)
    if not found:
        return False
    found = _withoutUntouched(book, found)
    if found and not _followHistory(book, found):
        states = {key: _editedState(book, key, mask) for key, mask in found.items()}
        known = book.lesions
        changes = {key: Change(known[key].state if key in known else None, state) for key, state in states.items()}
        book.history.add(Step(changes))
        _follow(book, found, states)
    return True


def _withoutUntouched(book: LesionBook, found: Found) -> dict[str, PackedMask | None]:
    """Let lesions that nobody clicked come and go with their segments."""
    kept = dict(found)
    for key, mask in found.items():
        lesion = book.lesions.get(key) or book.removed[key]
        if _isUntouched(lesion.state) and (mask is None or mask.box.is_empty):
            book.restoreState(key, None if mask is None else lesion.state)
            del kept[key]
    return kept


def _followHistory(book: LesionBook, found: Found) -> bool:
    """Undo or redo as many steps as lead to what was found; False where none do."""
    history = book.history
    for steps, go, isBack in ((history.done, history.undo, True), (history.undone, history.redo, False)):
        states: dict[str, LesionState | None] = {}
        for count, step in enumerate(islice(steps, MOST_AT_ONCE), start=1):
            states |= {key: change.before if isBack else change.after for key, change in step.lesions.items()}
            reached = _reached(book, found, states)
            if reached is not None:
                for _ in range(count):
                    go()
                _follow(book, found, reached)
                return True
    return False


def _differences(book: LesionBook) -> dict[str, PackedMask | None]:
    found: dict[str, PackedMask | None] = {}
    suspects = _suspects(book)
    for lesion in book.lesions.values():
        if not book.hasSegment(lesion.segmentID):
            found[lesion.key] = None
        elif lesion.key in suspects:
            mask = _read(book, lesion)
            if mask != lesion.shown:
                found[lesion.key] = mask
    for lesion in book.removed.values():
        if book.hasSegment(lesion.segmentID) and book.lesionOf(lesion.segmentID) is None:
            found[lesion.key] = _read(book, lesion)
    return found


def _suspects(book: LesionBook) -> set[str]:
    """Lesions whose voxels may have changed: one look at each box, and one count per layer.

    Reading each of thirty lesions from a layer of 400 x 400 x 400 would take a second.
    """
    present = book.inOrder()
    suspects, held = set[str](), dict[Node, list[Lesion]]()
    for lesion in present:
        held.setdefault(lesion.segment.GetRepresentation(binaryName()), []).append(lesion)
        part = partFromSegment(book.segmentationNode, lesion.segmentID, grid=book.image.grid, box=lesion.shown.box)
        if not np.array_equal(part, lesion.shown.inside_box()):
            suspects.add(lesion.key)
    for layer, lesions in held.items():
        sharing: list[str] = []
        book.segmentationNode.GetSegmentation().GetSegmentIDsSharingBinaryLabelmapRepresentation(
            lesions[0].segmentID, sharing, True
        )
        isOurs = layer is not None and set(sharing) == {lesion.segmentID for lesion in lesions}
        count = sum(lesion.shown.voxel_count for lesion in lesions)
        if not isOurs or np.count_nonzero(labelsOf(layer)) != count:
            suspects |= {lesion.key for lesion in lesions}
    return suspects


def _read(book: LesionBook, lesion: Lesion) -> PackedMask:
    return packedFromSegment(book.segmentationNode, lesion.segmentID, grid=book.image.grid)


def _reached(book: LesionBook, found: Found, states: States) -> States | None:
    """The states, where the segments are as all lesions show them in these; None where they are not."""
    if not set(found) <= set(states):
        return None
    isHistory = any(mask is not None for mask in found.values())  # else somebody has just deleted a segment
    reached: dict[str, LesionState | None] = {}
    for key, state in states.items():
        lesion = book.lesions.get(key)
        there = found.get(key, lesion.shown if lesion is not None else None)
        if there is None and (state is None or (isHistory and _isUntouched(state))):
            reached[key] = None
        elif there is not None and state is not None and _maskOf(state) == there:
            reached[key] = state
        else:
            return None
    return reached


def _isUntouched(state: LesionState) -> bool:
    """True for a lesion as it was added: making it was no step, so it may come and go with its segment."""
    mask = _maskOf(state)
    return not state.clicks and mask is not None and mask.box.is_empty


def _maskOf(state: LesionState) -> PackedMask | None:
    return state.result.mask if state.result is not None else None


def _editedState(book: LesionBook, key: str, mask: PackedMask | None) -> LesionState | None:
    if mask is None:
        return None
    lesion = book.lesions.get(key) or book.removed[key]
    return LesionState(lesion.state.clicks, Result(mask), isEdited=True)


def _follow(book: LesionBook, found: Found, states: States) -> None:
    """Take over what the segments hold, and bring nodes and clicks to the states."""
    for key, state in states.items():
        lesion = book.lesions.get(key)
        mask = found.get(key)
        if lesion is not None and mask is not None:
            lesion.shown = mask
        book.restoreState(key, state)
