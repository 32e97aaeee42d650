"""Segments that were changed elsewhere: painted, undone in the Segment Editor, or deleted.

Such a change becomes a step of our history. Where Slicer's own undo brings back just what a step of ours had before (or
after) it, that step counts as undone (or redone), with its clicks: so both histories agree.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from SegAnyPETLib.mrml.click_history import Change, LesionState, Result, Step
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.lesion import Lesion
from SegAnyPETLib.mrml.lesion_book import LesionBook
from SegAnyPETLib.mrml.segment_updates import binaryName
from SegAnyPETLib.mrml.segments import labelsOf, packedFromSegment, partFromSegment
from SegAnyPETLib.session.packed_mask import PackedMask

Found = Mapping[str, PackedMask | None]  # key of a lesion -> what its segment now holds; None: it is gone


def followEdits(book: LesionBook) -> bool:
    """Compare the segments with what we showed, and follow; True when something had changed."""
    found = _differences(book)
    if not found:
        return False
    done, undone = book.history.lastDone, book.history.lastUndone
    if done is not None and _leadsTo(found, {key: change.before for key, change in done.lesions.items()}):
        book.history.undo()
        _follow(book, found, {key: change.before for key, change in done.lesions.items()})
    elif undone is not None and _leadsTo(found, {key: change.after for key, change in undone.lesions.items()}):
        book.history.redo()
        _follow(book, found, {key: change.after for key, change in undone.lesions.items()})
    else:
        states = {key: _editedState(book, key, mask) for key, mask in found.items()}
        known = book.lesions
        changes = {key: Change(known[key].state if key in known else None, state) for key, state in states.items()}
        book.history.add(Step(changes))
        _follow(book, found, states)
    return True


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


def _leadsTo(found: Found, states: Mapping[str, LesionState | None]) -> bool:
    """True where what was found is what all lesions of a step show in these states."""
    if not set(found) <= set(states):
        return False
    return all(
        (state is None) == (found[key] is None) and (state is None or _maskOf(state) == found[key])
        for key, state in states.items()
        if key in found
    ) and set(found) == set(states)


def _maskOf(state: LesionState) -> PackedMask | None:
    return state.result.mask if state.result is not None else None


def _editedState(book: LesionBook, key: str, mask: PackedMask | None) -> LesionState | None:
    if mask is None:
        return None
    lesion = book.lesions.get(key) or book.removed[key]
    return LesionState(lesion.state.clicks, Result(mask), isEdited=True)


def _follow(book: LesionBook, found: Found, states: Mapping[str, LesionState | None]) -> None:
    """Take over what the segments hold, and bring nodes and clicks to the states."""
    for key, state in states.items():
        lesion = book.lesions.get(key)
        mask = found.get(key)
        if lesion is not None and mask is not None:
            lesion.shown = mask
        book.restoreState(key, state)
