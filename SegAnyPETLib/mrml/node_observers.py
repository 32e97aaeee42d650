"""Observers of VTK objects that are all taken back together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from SegAnyPETLib.mrml.frames import Node


class NodeObservers:
    """Remembers what was observed, so that nothing is left behind on a node that lives on."""

    def __init__(self) -> None:
        self._tags: dict[Any, list[int]] = {}  # a VTK object is its own key: it hashes by identity

    def watch(self, observed: Node, callback: Callable[..., None], *events: int | str) -> None:
        """Call `callback(caller, event)` on each of `events`; an object that is watched already is left as it is."""
        self.watchEach(observed, dict.fromkeys(events, callback))

    def watchEach(self, observed: Node, callbacks: Mapping[int | str, Callable[..., None]]) -> None:
        """As `watch`, with a callback of its own for each event: VTK names only its own events to a callback."""
        if observed not in self._tags:
            self._tags[observed] = [observed.AddObserver(event, callback) for event, callback in callbacks.items()]

    def keepOnly(self, wanted: Iterable[Node]) -> None:
        """Stop watching everything that is not among `wanted`."""
        for observed in set(self._tags).difference(wanted):
            self.forget(observed)

    def forget(self, observed: Node) -> None:
        """Stop watching one object; nothing happens where it was not watched."""
        for tag in self._tags.pop(observed, []):
            observed.RemoveObserver(tag)

    def forgetAll(self) -> None:
        """Stop watching everything."""
        for observed in list(self._tags):
            self.forget(observed)
