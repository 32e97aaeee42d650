"""Many objects of one image, each as an `InteractiveSession` of its own would answer, their network calls joined.

Each object's fold (see `fold`) runs in a thread of its own, as it is, until it needs the network. When all that run
are waiting, what they ask is put together: one call of the encoder for all regions that are not known yet, or one
call of the decoder for all questions of one kind. Only the caller's thread ever asks the model.

What is asked together does not depend on the speed of the threads, and an object's answer not on the others: it is
given exactly the regions, points and mask prompts that its session would give. Only a network that adds up numbers
in another order for a batch (as GPUs do) can differ, by rounding.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import PredictionCancelled, PromptError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.preprocess import Region
from SegAnyPETLib.session.batched_calls import BatchedCalls, DecoderCall
from SegAnyPETLib.session.clean_image import CleanImage
from SegAnyPETLib.session.confidence import object_logits
from SegAnyPETLib.session.fold import State, advance, blank_state
from SegAnyPETLib.session.prediction import Prediction
from SegAnyPETLib.session.prompt_clicks import check_prompt
from SegAnyPETLib.session.prompts import Prompt
from SegAnyPETLib.session.protocols import CalibratedDescription, SegmentationModel
from SegAnyPETLib.session.region_cache import DEFAULT_BUDGET_BYTES, RegionCache
from SegAnyPETLib.session.region_network import RegionNetwork, check_cancelled

Kept = TypeVar("Kept")
Encoded = tuple[Any, NDArray[np.float32]]  # an embedding of whatever type, and the SUVs of `RegionNetwork.suv_in`


@dataclass(frozen=True, eq=False)
class _Question:
    """What a fold needs of the network, and where it waits for the answer.

    Attributes:
        asker: Number of the object.
        region: To be encoded; None when `call` is to be decoded.
        volume: The region's tensor and SUVs.
        call: For the decoder.
        answer: Gets the answer, or an exception to be raised.
    """

    asker: int
    region: Region | None = None
    volume: Encoded | None = None
    call: DecoderCall | None = None
    answer: SimpleQueue[Any] = field(default_factory=SimpleQueue)


@dataclass(frozen=True, eq=False)
class _Ended(Generic[Kept]):
    """A fold that is over, with what is kept of it or why its prompts were refused."""

    asker: int
    outcome: Kept | PromptError


@dataclass(frozen=True, eq=False)
class _Failed:
    """A fold that something else stopped."""

    error: BaseException


class _AskingNetwork(RegionNetwork):
    """The network as one fold sees it: what is not known is asked for in the inbox."""

    def __init__(
        self,
        image: CleanImage,
        model: SegmentationModel,
        *,
        cache: RegionCache,
        lock: threading.Lock,
        inbox: SimpleQueue[Any],
        asker: int,
    ) -> None:
        super().__init__(image, model, cache=cache)
        self._lock = lock
        self._inbox = inbox
        self._asker = asker

    def _encoded(self, region: Region) -> Encoded:
        with self._lock:
            if region in self.cache:
                known: Encoded = self.cache.get(region, lambda: None)
                return known
        encoded: Encoded = self._ask(_Question(self._asker, region=region, volume=self._input_of(region)))
        return encoded

    def _ask_decoder(self, embedding: Any, points: tuple[Any, Any] | None, mask_logits: Any) -> Any:
        return self._ask(_Question(self._asker, call=DecoderCall(embedding, points, mask_logits)))

    def _ask(self, question: _Question) -> Any:
        self._inbox.put(question)
        answer = question.answer.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class ManyObjects(Generic[Kept]):
    """Predicts many objects of one image.

    Args:
        image: See `without_gaps`.
        model: One that is no `BatchingModel` is asked one by one.
        keep: Called with each object's number and prediction in that object's thread; what it returns is kept.
            A prediction holds all its logits, so keep what is needed of it.
        cache_bytes: Memory for encoded regions; the least recently used are dropped.
        at_once: The most regions in one call; what the model says when not given.
        cancel: Set it from any thread to stop before the next call of the network.
    """

    def __init__(
        self,
        image: CleanImage,
        model: SegmentationModel,
        *,
        keep: Callable[[int, Prediction], Kept],
        cache_bytes: int = DEFAULT_BUDGET_BYTES,
        at_once: int | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self._image = image
        self._model = model
        self._keep = keep
        self._cancel = cancel
        self._calls = BatchedCalls(model, at_once=at_once)
        self._cache = RegionCache(budget_bytes=cache_bytes)
        self._lock = threading.Lock()
        self._inbox: SimpleQueue[_Question | _Ended[Kept] | _Failed] = SimpleQueue()
        self._waiting: list[_Question] = []
        self._running = 0

    def predict(self, prompts: Sequence[Sequence[Prompt]]) -> Iterator[tuple[int, Kept | PromptError]]:
        """What is kept of each object, with its number, as soon as it is done; or why its prompts were refused.

        Args:
            prompts: Of each object, in the order of a session. Objects that lie near each other should follow each
                other: they may share regions.

        Raises:
            PredictionCancelled: `cancel` was set.
            ModelError: The model failed.
        """
        most, started = self._calls.size, 0
        try:
            while self._running or started < len(prompts):
                if self._running < most and started < len(prompts):
                    self._start(started, prompts[started])
                    started += 1
                elif len(self._waiting) == self._running:
                    check_cancelled(self._cancel)
                    self._answer_some()
                else:
                    event = self._inbox.get()
                    if isinstance(event, _Question):
                        self._waiting.append(event)
                        continue
                    self._running -= 1
                    if isinstance(event, _Failed):
                        raise event.error
                    yield event.asker, event.outcome
        finally:
            self._dismiss()

    def _start(self, number: int, prompts: Sequence[Prompt]) -> None:
        self._running += 1
        threading.Thread(target=self._fold, args=(number, prompts), name=f"object {number}", daemon=True).start()

    def _fold(self, number: int, prompts: Sequence[Prompt]) -> None:
        """One object from its first prompt to its last; runs in a thread of its own."""
        network = _AskingNetwork(
            self._image, self._model, cache=self._cache, lock=self._lock, inbox=self._inbox, asker=number
        )
        try:
            for prompt in prompts:
                check_prompt(prompt, self._image)
            state = blank_state(network)
            for last in range(len(prompts)):
                state = advance(network, state, prompts[: last + 1], cancel=self._cancel)
            self._inbox.put(_Ended(number, self._keep(number, self._prediction(state, len(prompts)))))
        except PromptError as error:
            self._inbox.put(_Ended(number, error))
        except BaseException as error:  # noqa: BLE001  it is raised again in the caller's thread
            self._inbox.put(_Failed(error))

    def _prediction(self, state: State, prompts: int) -> Prediction:
        description = self._model.spec
        return Prediction(
            packed=state.mask,
            changed=state.mask.box if prompts else VoxelBox((0, 0, 0), (0, 0, 0)),
            soft_dice=state.score,
            notices=state.notices,
            grid=self._image.grid,
            prompts=prompts,
            calibration=description.calibration if isinstance(description, CalibratedDescription) else None,
            make_logits=lambda: object_logits(state.canvas, state.mask, self._image.grid),
        )

    def _answer_some(self) -> None:
        """Encode what is to be encoded; else decode all questions of the most frequent kind.

        Folds that still need a region catch up in this way with those that have theirs, so that more is decoded at
        once.
        """
        self._waiting.sort(key=lambda question: question.asker)
        chosen = [question for question in self._waiting if question.region is not None]
        if chosen:
            answers = self._encode(chosen)
        else:
            kinds = [question.call.kind for question in self._waiting if question.call is not None]
            kind = max(kinds, key=kinds.count)
            chosen = [q for q in self._waiting if q.call is not None and q.call.kind == kind]
            answers = self._calls.decode([q.call for q in chosen if q.call is not None])
        self._waiting = [question for question in self._waiting if question not in chosen]
        for question, answer in zip(chosen, answers, strict=True):
            question.answer.put(answer)

    def _encode(self, questions: Sequence[_Question]) -> list[Encoded]:
        """Encode each region once, whoever asks; known regions are found by `_AskingNetwork`."""
        inputs = {q.region: q.volume for q in questions if q.region is not None and q.volume is not None}
        embeddings = self._calls.encode([volume for volume, _ in inputs.values()])
        made = {r: (e, suv) for (r, (_, suv)), e in zip(inputs.items(), embeddings, strict=True)}
        with self._lock:
            for region, encoded in made.items():
                self._cache.get(region, partial(_given, encoded))
        return [made[question.region] for question in questions if question.region is not None]

    def _dismiss(self) -> None:
        """End every fold that still runs; nobody waits for its answer."""
        waiting, self._waiting = self._waiting, []
        while True:
            for question in waiting:
                question.answer.put(PredictionCancelled("The prediction was given up."))
            if self._running == 0:
                return
            event = self._inbox.get()
            waiting = [event] if isinstance(event, _Question) else []
            self._running -= not waiting


def _given(encoded: Encoded) -> Encoded:
    return encoded
