"""Which request the child is given next. Nothing here knows of processes; whoever holds it holds a lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from SegAnyPETLib.session.prompts import Point, Prompt

Lps = tuple[float, float, float]


@dataclass(eq=False)
class Work:
    """One request.

    Attributes:
        number: Of the request.
        kind: What is wanted.
        lesion: Of which lesion; empty for `prepare`.
        prompts: All of the lesion's, for `predict`.
        lps_mm: The place, for `prepare`.
        is_stale: Nobody waits for the answer any more.
    """

    number: int
    kind: Literal["predict", "uncertainty", "prepare"]
    lesion: str = ""
    prompts: tuple[Prompt, ...] = ()
    lps_mm: Lps = (0.0, 0.0, 0.0)
    is_stale: bool = False


class Schedule:
    """Requests that wait, and those the child was given and has not answered.

    The child is given one at a time; the next one follows before the answer only when all it was given are stale, or
    only prepared.
    Predictions go in the order in which their lesions were first asked about, then uncertainties, then what is
    prepared.
    """

    def __init__(self) -> None:
        self._waiting: list[Work] = []
        self._given: dict[int, Work] = {}
        self._to_cancel: list[Work] = []

    @property
    def is_busy(self) -> bool:
        """True while an answer is waited for."""
        return bool(self._waiting) or any(not work.is_stale for work in self._given.values())

    def ask(self, work: Work) -> None:
        """Add a request; an older one of the same kind for the same lesion is superseded.

        A prediction ends what is being prepared too, except where that is its own only click.
        """
        replaced = next((n for n, old in enumerate(self._waiting) if _supersedes(work, old)), None)
        if replaced is not None:
            self._waiting[replaced] = work  # it keeps its place, so that many clicks on one lesion delay no other
        else:
            self._waiting.append(work)
        self._waiting = [old for old in self._waiting if old.kind != "prepare" or work.kind != "predict"]
        for given in self._given.values():
            if _supersedes(work, given) or _gives_way(given, work):
                self._make_stale(given)

    def drop(self, lesion: str | None = None) -> list[Work]:
        """Give up what is wanted for a lesion, or everything; returns what nobody will answer now."""
        dropped = [work for work in self._waiting if lesion in (None, work.lesion)]
        self._waiting = [work for work in self._waiting if work not in dropped]
        for given in self._given.values():
            if lesion in (None, given.lesion) and not given.is_stale:
                self._make_stale(given)
                dropped.append(given)
        return dropped

    def next_to_give(self) -> Work | None:
        """What the child is to be given now; None while it predicts something that is wanted."""
        if not self._waiting or any(not w.is_stale and w.kind != "prepare" for w in self._given.values()):
            return None
        order = {"predict": 0, "uncertainty": 1, "prepare": 2}
        work = min(self._waiting, key=lambda waiting: order[waiting.kind])
        self._waiting.remove(work)
        self._given[work.number] = work
        return work

    def take_cancelled(self) -> list[Work]:
        """What the child must be told to stop, once."""
        cancelled, self._to_cancel = self._to_cancel, []
        return cancelled

    def wanted(self, number: int) -> Work | None:
        """The request the child was given under a number, when its answer is still wanted."""
        work = self._given.get(number)
        return None if work is None or work.is_stale else work

    def answered(self, number: int) -> Work | None:
        """Note that the child is done with a request; returns it when its answer is still wanted."""
        work = self._given.pop(number, None)
        return None if work is None or work.is_stale else work

    def child_is_gone(self) -> None:
        """What a child did not answer waits again, before everything else; what was prepared does not."""
        again = [work for work in self._given.values() if not work.is_stale and work.kind != "prepare"]
        self._waiting = again + self._waiting
        self._given.clear()
        self._to_cancel.clear()

    def _make_stale(self, work: Work) -> None:
        if not work.is_stale:
            work.is_stale = True
            self._to_cancel.append(work)


def _supersedes(new: Work, old: Work) -> bool:
    return old.kind == new.kind and old.lesion == new.lesion


def _gives_way(old: Work, new: Work) -> bool:
    if old.kind != "prepare" or new.kind != "predict":
        return False
    return new.prompts != (Point(old.lps_mm),)  # else the child is half done with it
