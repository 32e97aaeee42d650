"""The rule model for several regions in one call, with a memory that holds only so many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from rule_model import RuleModel
from torch import Tensor


class BatchingRuleModel(RuleModel):
    """Answers a joined call exactly as it answers its parts."""

    def __init__(
        self, *, batch_size: int = 4, memory: int = 1000, error: type[Exception] = MemoryError, **preprocessing
    ):
        super().__init__(**preprocessing)
        self.batch_size = batch_size
        self.memory = memory
        self.error = error
        self.is_batching = False
        self.encoded_at_once: list[int] = []
        self.decoded_at_once: list[int] = []

    @contextmanager
    def batching(self) -> Iterator[None]:
        self.is_batching = True
        yield
        self.is_batching = False

    def encode(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        self._require_memory(len(volume))
        self.encoded_at_once.append(len(volume))
        for part in volume.split(1):
            super().encode(part)
        return volume, volume.flatten(1).sum(dim=1)

    def decode(
        self,
        embedding: tuple[Tensor, Tensor],
        *,
        points: tuple[Tensor, Tensor] | None = None,
        mask_logits: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        volume, total = embedding
        torch.testing.assert_close(total, volume.flatten(1).sum(dim=1), rtol=0, atol=0)  # all parts of one region
        self._require_memory(len(volume))
        self.decoded_at_once.append(len(volume))
        answers = [
            super(BatchingRuleModel, self).decode(
                volume[n : n + 1],
                points=None if points is None else (points[0][n : n + 1], points[1][n : n + 1]),
                mask_logits=None if mask_logits is None else mask_logits[n : n + 1],
            )[0]
            for n in range(len(volume))
        ]
        return torch.cat(answers), torch.zeros(len(answers), 1)

    def _require_memory(self, regions: int) -> None:
        if regions > self.memory:
            assert self.is_batching, "a call that cannot be made smaller must fit"
            raise self.error("out of memory")
