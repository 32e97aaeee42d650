"""`InteractiveSession`: one image, one model, prompts one after the other."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import SegAnyPETWarning, SessionError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session.clean_image import GAPS_NOTICE, without_gaps
from SegAnyPETLib.session.confidence import ObjectLogits, object_logits
from SegAnyPETLib.session.fold import State, advance, blank_state
from SegAnyPETLib.session.history import Entry, History, Result
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prediction import Prediction
from SegAnyPETLib.session.prompt_clicks import check_prompt
from SegAnyPETLib.session.prompts import Point, Prompt
from SegAnyPETLib.session.protocols import CalibratedDescription, PETImage, SegmentationModel
from SegAnyPETLib.session.region_cache import DEFAULT_BUDGET_BYTES, RegionCache
from SegAnyPETLib.session.region_network import RegionNetwork

NOTHING_CHANGED = VoxelBox((0, 0, 0), (0, 0, 0))
MOST_PREPARED = 4  # answers to clicks that were not made; each keeps its logits


class InteractiveSession:
    """Segment one object at a time in one image.

    The same image, model and ordered prompts always give the same mask, whenever `predict` was called in between;
    undo restores exactly. Regions of the image are encoded once each and kept, so another click near the first
    costs only the decoder. A call that raises leaves the session as it was before. One thread at a time may use a
    session; `cancel` may be set from any.

    Args:
        model: From `load_model`, or anything with the members of `SegmentationModel`.
        cache_bytes: Memory for encoded regions; the least recently used are dropped.

    Example:
        >>> session = InteractiveSession(load_model("lite"))        # doctest: +SKIP
        >>> session.set_image(image)                                # doctest: +SKIP
        >>> session.add(Point(lps_mm=(212.5, -34.0, 871.0)))        # doctest: +SKIP
        >>> prediction = session.predict()                          # doctest: +SKIP
    """

    def __init__(self, model: SegmentationModel, *, cache_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self._model = model
        self._cache_bytes = cache_bytes
        self._history = History()
        self._prepared: dict[Point, State] = {}
        self._network: RegionNetwork | None = None
        self._shown: PackedMask | None = None
        self._changed = NOTHING_CHANGED

    @property
    def model(self) -> SegmentationModel:
        """The model."""
        return self._model

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts in force, oldest first."""
        return self._history.prompts

    @property
    def can_undo(self) -> bool:
        """True when there is a prompt to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """True when a prompt was taken back and none was added since."""
        return self._history.can_redo

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask (K, J, I) predicted last for the prompts in force, a new array; all false before any.

        Raises:
            SessionError: No image was set.
        """
        return self._current_mask().to_array()

    def set_image(self, image: PETImage) -> None:
        """Work on `image` from now on; prompts, results and encoded regions of an earlier image are forgotten.

        Voxels that are NaN or infinite count as 0, with a `SegAnyPETWarning`; the array itself is never changed.

        Raises:
            GeometryError: The array is not of the grid's shape (K, J, I).
        """
        clean, bad_voxels = without_gaps(image)
        self._history.clear()
        cache = RegionCache(budget_bytes=self._cache_bytes)  # a new one: siblings may still use the old image's
        self._network = RegionNetwork(clean, self._model, cache=cache)
        self._prepared = {}
        self._shown = PackedMask.empty(image.grid.shape_kji)
        self._changed = NOTHING_CHANGED
        if bad_voxels:
            warnings.warn(GAPS_NOTICE.format(voxels=bad_voxels), SegAnyPETWarning, stacklevel=2)

    def sibling(self) -> InteractiveSession:
        """A session for another object in the same image; a region that either has encoded is known to both.

        It starts without prompts. `set_image` on one of them leaves the other with the image it has. All of them
        together are for one thread at a time.

        Raises:
            SessionError: No image was set.
        """
        other = InteractiveSession(self._model, cache_bytes=self._cache_bytes)
        other._network = self._require_network()
        other._prepared = self._prepared
        other._shown = PackedMask.empty(other._network.image.grid.shape_kji)
        return other

    def prepare(self, lps_mm: tuple[float, float, float], *, cancel: threading.Event | None = None) -> None:
        """Answer a first click at `lps_mm` ahead; prompts and results stay as they are.

        What is encoded for it is kept, so that a click near it costs only the decoder, in this session and its
        siblings. The answer itself is kept too, for a first click at exactly that place.

        Args:
            lps_mm: Where, (x, y, z) in LPS mm.
            cancel: Set it from another thread to stop before the next call of the network; what was encoded is kept.

        Raises:
            SessionError: No image was set.
            PromptError: The point lies outside the image.
            PredictionCancelled: `cancel` was set.
            ModelError: The model failed.
        """
        network = self._require_network()
        point = Point(lps_mm)
        check_prompt(point, network.image)
        if point not in self._prepared:
            self._prepared[point] = advance(network, blank_state(network), [point], cancel=cancel)
        while len(self._prepared) > MOST_PREPARED:
            del self._prepared[next(iter(self._prepared))]

    def add(self, prompt: Prompt) -> None:
        """Add a point, a box or a seed mask; nothing is computed until `predict`. What was undone is forgotten.

        Raises:
            SessionError: No image was set.
            PromptError: The prompt does not fit the image, for example a point outside it.
        """
        check_prompt(prompt, self._require_network().image)
        self._history.add(prompt)

    def predict(self, *, cancel: threading.Event | None = None) -> Prediction:
        """The mask for the prompts in force.

        Args:
            cancel: Set it from another thread to stop before the next call of the network.

        Raises:
            SessionError: No image was set, or no prompt is in force.
            PredictionCancelled: `cancel` was set; the session is as it was before.
            ModelError: The model failed; the session is as it was before.
        """
        network = self._require_network()
        if not self._history.prompts:
            msg = "Expected at least one prompt; found none. Call add(Point(...)) before predict()."
            raise SessionError(msg)
        known = self._history.entries[-1].result
        result = known or self._compute(network, cancel)
        if known is None:
            for notice in result.notices:
                warnings.warn(notice, SegAnyPETWarning, stacklevel=2)
        self._show(result.mask)
        changed, self._changed = self._changed, NOTHING_CHANGED
        description = self._model.spec
        return Prediction(
            packed=result.mask,
            changed=changed,
            soft_dice=result.score,
            notices=result.notices,
            grid=network.image.grid,
            prompts=len(self._history.prompts),
            calibration=description.calibration if isinstance(description, CalibratedDescription) else None,
            make_logits=self._logits_maker(network),
        )

    def undo(self) -> VoxelBox:
        """Take back the last prompt and its mask; returns the box of voxels of `mask` that changed.

        Raises:
            SessionError: There is nothing to undo.
        """
        if not self._history.can_undo:
            msg = "Expected a prompt to undo; found none. Check can_undo first."
            raise SessionError(msg)
        self._history.undo()
        return self._show(self._current_mask())

    def redo(self) -> VoxelBox:
        """Put back the prompt that was undone last, and its mask; returns the box of voxels that changed.

        Raises:
            SessionError: There is nothing to redo.
        """
        if not self._history.can_redo:
            msg = "Expected an undone prompt; found none. Check can_redo first."
            raise SessionError(msg)
        self._history.redo()
        return self._show(self._current_mask())

    def reset(self) -> VoxelBox:
        """Forget all prompts and results, as for a new object; encoded regions are kept. Returns what changed.

        Raises:
            SessionError: No image was set.
        """
        self._require_network()
        self._history.clear()
        return self._show(self._current_mask())

    def _require_network(self) -> RegionNetwork:
        if self._network is None:
            msg = "Expected an image; none was set. Call set_image(image) first."
            raise SessionError(msg)
        return self._network

    def _current_mask(self) -> PackedMask:
        grid = self._require_network().image.grid
        latest = self._history.latest_result
        return latest.mask if latest else PackedMask.empty(grid.shape_kji)

    def _show(self, mask: PackedMask) -> VoxelBox:
        """Note that the caller now sees `mask`; returns where it differs from what was seen before."""
        difference = mask.difference_box(self._shown) if self._shown is not None else mask.box
        self._shown = mask
        self._changed = self._changed.union(difference)
        return difference

    def _compute(self, network: RegionNetwork, cancel: threading.Event | None) -> Result:
        """Go on from the newest state that is kept; nothing is recorded unless every step succeeds."""
        entries = self._history.entries
        first = entries[0].prompt
        ahead = self._prepared.get(first) if isinstance(first, Point) else None
        states = _fold(network, entries, cancel, after_first=ahead)
        for index, state in states:
            self._history.record(index, state)
        result = self._history.entries[-1].result
        if result is None:
            msg = "Expected a result for the last prompt; found none. Please report this."
            raise SessionError(msg)
        return result

    def _logits_maker(self, network: RegionNetwork) -> Callable[[], ObjectLogits]:
        """Makes the logits of the prompts now in force, even after they were undone."""
        entries = self._history.entries
        state = entries[-1].state

        def make() -> ObjectLogits:
            last = state if state is not None else _fold(network, entries, None)[-1][1]
            return object_logits(last.canvas, last.mask, network.image.grid)

        return make


def _fold(
    network: RegionNetwork,
    entries: Sequence[Entry],
    cancel: threading.Event | None,
    *,
    after_first: State | None = None,
) -> list[tuple[int, State]]:
    """The states after each prompt that has none yet, with their index; `after_first` may be known already."""
    start = next((i for i in range(len(entries) - 1, -1, -1) if entries[i].state is not None), -1)
    kept = entries[start].state if start >= 0 else None
    state = kept or blank_state(network)
    prompts = [entry.prompt for entry in entries]
    states = []
    if start < 0 and after_first is not None:
        start, state = 0, after_first
        states.append((start, state))
    for index in range(start + 1, len(entries)):
        state = advance(network, state, prompts[: index + 1], cancel=cancel)
        states.append((index, state))
    return states
