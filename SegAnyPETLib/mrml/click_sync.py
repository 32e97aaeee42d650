"""From the nodes of a lesion to its clicks: what was placed, moved, removed, or lies outside the volume."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from SegAnyPETLib.mrml.click_history import Click, LesionState
from SegAnyPETLib.mrml.lesion_clicks import ReadClicks, orderOf, putBack, readClicks, setOrder
from SegAnyPETLib.mrml.place_mode import pausedPlacing
from SegAnyPETLib.session import Box, SeedMask

if TYPE_CHECKING:
    from SegAnyPETLib.mrml.lesion import Lesion
    from SegAnyPETLib.mrml.lesion_book import LesionBook

OUTSIDE = "The click lies outside the volume '{name}' and was taken back. Click inside the volume."


def syncClicks(book: LesionBook, lesion: Lesion) -> bool:
    """Bring a lesion to the clicks that stand in its nodes; True when they changed, and an answer is then awaited."""
    state = lesion.state
    read = readClicks(lesion.nodes, grid=book.image.grid, before=state.clicks)
    clicks = list(read.known)
    if read.problem:
        book.context.message = read.problem
        clicks += [click for click in state.clicks if isinstance(click.prompt, Box)]
    clicks += _heldOutside(book, lesion, read)
    if read.new and state.isEdited and not lesion.shown.box.is_empty:
        clicks.append(Click(nextOrder(clicks, state.clicks), SeedMask.from_packed(lesion.shown)))
    with book.writing():
        for node, controlPointID in read.new:
            positive = node is lesion.nodes.positiveNode
            clicks.append(setOrder(node, controlPointID, nextOrder(clicks, state.clicks), positive=positive))
    wanted = tuple(sorted(clicks, key=lambda click: click.order))
    if wanted == state.clicks:
        return False
    book.enterState(lesion, LesionState(wanted))
    return True


def takeBackOutside(book: LesionBook) -> bool:
    """Remove or move back the points outside the volume; not from within an event of the view that placed them."""
    if not book.outside:
        return False
    for lesion, node, controlPointID in book.outside:
        if node.GetScene() is not None:
            with book.writing(), pausedPlacing(lesion.nodes.pointNodes):
                putBack(node, controlPointID, lesion.state.clicks)
    book.outside.clear()
    return True


def nextOrder(*clicks: Iterable[Click]) -> int:
    """One more than the highest order."""
    return 1 + max((click.order for some in clicks for click in some), default=0)


def _heldOutside(book: LesionBook, lesion: Lesion, read: ReadClicks) -> list[Click]:
    """Note the points outside; those that were inside before count where they were."""
    held = []
    old = {click.order: click for click in lesion.state.clicks}
    for node, controlPointID in read.outside:
        book.outside.append((lesion, node, controlPointID))
        book.context.message = OUTSIDE.format(name=book.volumeNode.GetName())
        order = orderOf(node, controlPointID)
        if order in old:
            held.append(old[order])
    return held
