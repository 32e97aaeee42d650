"""Calls of the network for several objects at once: joined, made, and taken apart again.

A call that is too large for the memory is made again in halves, and so are all later ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from SegAnyPETLib.errors import DeviceError, SegAnyPETWarning
from SegAnyPETLib.session.protocols import BatchingModel, SegmentationModel

Asked = TypeVar("Asked")

SMALLER_NOTICE = (
    "The memory does not hold {tried} regions in one call of the network; from now on {size} are computed at once. "
    "The masks stay the same, it takes longer."
)


@dataclass(frozen=True, eq=False)
class DecoderCall:
    """What the decoder is asked for one object, as `SegmentationModel.decode` takes it; torch tensors throughout."""

    embedding: Any  # whatever the model calls an embedding
    points: tuple[Any, Any] | None
    mask_logits: Any | None

    @property
    def kind(self) -> tuple[Any, ...]:
        """Equal for calls that can be joined: as many points, a mask prompt or none, on the same device."""
        points = None if self.points is None else tuple(self.points[0].shape)
        device = str(getattr(_first_tensor(self.embedding), "device", ""))
        return points, self.mask_logits is None, device


class BatchedCalls:
    """One model's calls, as many at once as are good for it and as its memory holds.

    Args:
        model: One that is no `BatchingModel` is asked one by one.
        at_once: The most in one call; what the model says when not given.
    """

    def __init__(self, model: SegmentationModel, *, at_once: int | None = None) -> None:
        self._model = model
        self._batching = model if isinstance(model, BatchingModel) else None
        self.size = max(1, at_once or self._batching.batch_size) if self._batching is not None else 1

    def encode(self, volumes: Sequence[Any]) -> list[Any]:
        """Embeddings of normalized tensors (1, 1, D, H, W), each with memory of its own."""

        def together(part: Sequence[Any]) -> list[Any]:
            embedding = self._model.encode(_joined(part))
            return [_taken_out(embedding, n) for n in range(len(part))]

        return self._in_parts(volumes, alone=self._model.encode, together=together)

    def decode(self, calls: Sequence[DecoderCall]) -> list[Any]:
        """Mask logits (1, C, d, h, w) of calls of one kind."""

        def alone(call: DecoderCall) -> Any:
            return self._model.decode(call.embedding, points=call.points, mask_logits=call.mask_logits)[0]

        def together(part: Sequence[DecoderCall]) -> list[Any]:
            first = part[0]
            logits, _ = self._model.decode(
                _joined([call.embedding for call in part]),
                points=None if first.points is None else _joined([call.points for call in part]),
                mask_logits=None if first.mask_logits is None else _joined([call.mask_logits for call in part]),
            )
            return [logits[n : n + 1] for n in range(len(part))]

        return self._in_parts(calls, alone=alone, together=together)

    def _in_parts(
        self, asked: Sequence[Asked], *, alone: Callable[[Asked], Any], together: Callable[[Sequence[Asked]], list[Any]]
    ) -> list[Any]:
        answers: list[Any] = []
        while len(answers) < len(asked):
            part = asked[len(answers) : len(answers) + self.size]
            if len(part) == 1:
                answers.append(alone(part[0]))  # exactly the call of a session; a model may go to the CPU for it
            elif (answered := self._if_memory_allows(part, together)) is not None:
                answers += answered
            else:
                self._halve(len(part))
        return answers

    def _if_memory_allows(
        self, part: Sequence[Asked], together: Callable[[Sequence[Asked]], list[Any]]
    ) -> list[Any] | None:
        from SegAnyPETLib.model.device import is_out_of_memory

        if self._batching is None:
            return [answer for one in part for answer in together([one])]
        try:
            with self._batching.batching():
                return together(part)
        except (DeviceError, MemoryError, RuntimeError) as error:
            if not isinstance(error, DeviceError) and not is_out_of_memory(error):
                raise
        return None  # outside of the handler, which would keep the failed call's tensors alive

    def _halve(self, tried: int) -> None:
        self.size = tried // 2
        if self._batching is not None:
            self._batching.batch_size = min(self._batching.batch_size, self.size)
        warnings.warn(SMALLER_NOTICE.format(tried=tried, size=self.size), SegAnyPETWarning, stacklevel=4)


def _joined(parts: Sequence[Any]) -> Any:
    """Tensors, or tuples of them, joined along the first axis."""
    import torch

    first = parts[0]
    if not isinstance(first, tuple):
        return torch.cat(list(parts))
    members = [_joined(each) for each in zip(*parts, strict=True)]
    return type(first)(*members) if hasattr(first, "_fields") else tuple(members)


def _taken_out(embedding: Any, number: int) -> Any:
    """One of a joined embedding; a copy, since a view would keep the memory of all the others."""
    if isinstance(embedding, tuple):
        members = [_taken_out(part, number) for part in embedding]
        return type(embedding)(*members) if hasattr(embedding, "_fields") else tuple(members)
    return embedding[number : number + 1].clone()


def _first_tensor(embedding: Any) -> Any:
    return _first_tensor(embedding[0]) if isinstance(embedding, tuple) else embedding
