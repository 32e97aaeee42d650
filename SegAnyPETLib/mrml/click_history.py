"""What was clicked, what came of it, and the way back: undo and redo over all lesions of one volume.

Plain values only; nothing here knows MRML. A state carries its whole mask, so undoing needs no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from SegAnyPETLib.session import ClickHint
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prompts import Prompt
from SegAnyPETLib.suv.measures import LesionMeasures

MOST_STEPS = 500  # the oldest are forgotten beyond; a step costs about as much as the bits of its masks


@dataclass(frozen=True)
class ROIPlace:
    """Where a ROI node stands, in its own frame, so that it can be put back."""

    nodeID: str
    center: tuple[float, ...]
    size: tuple[float, ...]
    objectToNode: tuple[float, ...]


@dataclass(frozen=True)
class Click:
    """One prompt of a lesion: a point, a box or a seed.

    Attributes:
        order: Counts up over all prompts of the lesion as they were given, and stays when a point is moved.
        prompt: In world LPS mm.
        roi: For a box: the ROI it came from.
    """

    order: int
    prompt: Prompt
    roi: ROIPlace | None = None


@dataclass(frozen=True)
class Result:
    """What a segment shows and what is known of it.

    Attributes:
        mask: On the volume's grid.
        measures: None while they are not known, and for an empty mask.
        score: The model's confidence, 0 to 1; None where no model made the mask.
        volumeIntervalMl: Where the true volume is expected; None without calibration.
        hint: Where to click next.
        notices: What the user should know.
    """

    mask: PackedMask
    measures: LesionMeasures | None = None
    score: float | None = None
    volumeIntervalMl: tuple[float, float] | None = None
    hint: ClickHint | None = None
    notices: tuple[str, ...] = ()


@dataclass(eq=False)
class LesionState:
    """A lesion at one moment; the result is filled in when it arrives.

    Attributes:
        clicks: By order.
        result: None while the engine has not answered.
        isEdited: The mask was painted or loaded, so it does not follow from the clicks; the next click starts from it.
    """

    clicks: tuple[Click, ...] = ()
    result: Result | None = None
    isEdited: bool = False


@dataclass(frozen=True)
class Change:
    """A lesion before and after a step; None where it did not exist."""

    before: LesionState | None
    after: LesionState | None


@dataclass(eq=False)
class Step:
    """One thing a person did.

    Attributes:
        lesions: Key of the lesion -> its change.
        others: ID of a segment that is no lesion -> its mask before and after, where a lesion took voxels from it.
    """

    lesions: dict[str, Change]
    others: dict[str, tuple[PackedMask, PackedMask]] = field(default_factory=dict)


class ClickHistory:
    """Steps that were done and steps that were undone."""

    def __init__(self) -> None:
        self._done: list[Step] = []
        self._undone: list[Step] = []

    @property
    def lastDone(self) -> Step | None:
        """The step that `undo` would take back."""
        return self._done[-1] if self._done else None

    @property
    def done(self) -> Iterator[Step]:
        """What was done, the newest first."""
        return reversed(self._done)

    @property
    def undone(self) -> Iterator[Step]:
        """What was undone, in the order in which `redo` would do it again."""
        return reversed(self._undone)

    @property
    def lastUndone(self) -> Step | None:
        """The step that `redo` would do again."""
        return self._undone[-1] if self._undone else None

    def add(self, step: Step) -> None:
        """Note what was done; what was undone is forgotten."""
        self._done.append(step)
        del self._done[:-MOST_STEPS]
        self._undone.clear()

    def undo(self) -> Step:
        """Move the newest step to the undone ones."""
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Step:
        """Move the step that was undone last back to the done ones."""
        self._done.append(self._undone.pop())
        return self._done[-1]

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()

    def stepThatMade(self, key: str, state: LesionState) -> Step | None:
        """The step after which the lesion was in this very state."""
        for step in reversed(self._done):
            change = step.lesions.get(key)
            if change is not None and change.after is state:
                return step
        return None
