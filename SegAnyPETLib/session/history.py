"""Prompts in order, what was predicted after each, and what was undone. Its depth is unlimited."""

from __future__ import annotations

from dataclasses import dataclass, replace

from SegAnyPETLib.session.canvas import Window
from SegAnyPETLib.session.fold import State
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prompts import Prompt

DEFAULT_BUDGET_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Result:
    """What stays of a prediction for ever: everything the user saw, but no logits."""

    mask: PackedMask
    score: float
    notices: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Entry:
    """One prompt.

    Attributes:
        prompt: What the user gave.
        result: What was predicted after it; None until then.
        state: What the next prediction continues from; None when it was not predicted yet, or was dropped to save
            memory (then it is computed again when needed, to the same bits).
    """

    prompt: Prompt
    result: Result | None = None
    state: State | None = None


class History:
    """Undo and redo over prompts and their results.

    Args:
        budget_bytes: Memory for the logits of past states; the oldest are dropped first.
    """

    def __init__(self, *, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._done: list[Entry] = []
        self._undone: list[Entry] = []

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts in force, oldest first."""
        return tuple(entry.prompt for entry in self._done)

    @property
    def can_undo(self) -> bool:
        """True when there is a prompt to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """True when a prompt was taken back and none was added since."""
        return bool(self._undone)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All prompts in force with their results."""
        return tuple(self._done)

    @property
    def latest_result(self) -> Result | None:
        """The result of the longest predicted sequence of the prompts in force."""
        return next((entry.result for entry in reversed(self._done) if entry.result is not None), None)

    def add(self, prompt: Prompt) -> None:
        """Append a prompt; what was undone is forgotten."""
        self._done.append(Entry(prompt))
        self._undone.clear()

    def undo(self) -> None:
        """Take back the last prompt."""
        self._undone.append(self._done.pop())

    def redo(self) -> None:
        """Put back the prompt taken back last, with its result."""
        self._done.append(self._undone.pop())

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()

    def record(self, index: int, state: State) -> None:
        """Keep what was predicted after prompt `index`."""
        result = Result(state.mask, state.score, state.notices)
        self._done[index] = replace(self._done[index], result=result, state=state)
        self._drop_old_states(keep=index)

    def _drop_old_states(self, *, keep: int) -> None:
        """Drop the oldest states beyond the budget; windows shared by several states count once, for the newest."""
        counted: set[int] = set()
        used = 0
        for index in range(len(self._done) - 1, -1, -1):
            state = self._done[index].state
            if state is None:
                continue
            fresh: list[Window] = [w for w in state.canvas.windows if id(w) not in counted]
            counted |= {id(w) for w in fresh}
            used += sum(w.logits.nbytes for w in fresh)
            if used > self._budget_bytes and index != keep:
                self._done[index] = replace(self._done[index], state=None)
