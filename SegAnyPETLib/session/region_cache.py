"""Embeddings of the regions seen so far, least recently used dropped first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from SegAnyPETLib.preprocess import Region

DEFAULT_BUDGET_BYTES = 400 * 2**20


class RegionCache:
    """Keeps what `encode` returned for each region, within a budget of memory.

    The newest embedding always stays, even when it alone is larger than the budget.

    Args:
        budget_bytes: Memory the embeddings may take together.
    """

    def __init__(self, *, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._entries: OrderedDict[Region, tuple[Any, int]] = OrderedDict()  # any type the model chose
        self._used_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, region: Region) -> bool:
        return region in self._entries

    @property
    def used_bytes(self) -> int:
        """Memory the kept embeddings take."""
        return self._used_bytes

    def get(self, region: Region, encode: Callable[[], Any]) -> Any:
        """The embedding of `region`, from memory or else from `encode`; nothing is kept when `encode` raises."""
        if region in self._entries:
            self._entries.move_to_end(region)
            return self._entries[region][0]
        embedding = encode()
        size = size_in_bytes(embedding)
        self._entries[region] = embedding, size
        self._used_bytes += size
        while self._used_bytes > self._budget_bytes and len(self._entries) > 1:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._used_bytes -= dropped
        return embedding

    def clear(self) -> None:
        """Forget everything, as for another image."""
        self._entries.clear()
        self._used_bytes = 0


def size_in_bytes(embedding: Any) -> int:
    """Bytes held by the tensors or arrays in nested tuples, lists and mappings."""
    if hasattr(embedding, "nbytes"):
        return int(embedding.nbytes)
    if isinstance(embedding, Mapping):
        return size_in_bytes(tuple(embedding.values()))
    if isinstance(embedding, Iterable) and not isinstance(embedding, (str, bytes)):
        return sum(size_in_bytes(part) for part in embedding)
    if hasattr(embedding, "__dict__"):
        return sum(size_in_bytes(part) for part in vars(embedding).values())
    return 0
