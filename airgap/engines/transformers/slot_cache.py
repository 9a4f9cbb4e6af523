"""Keys and values of rows of different lengths, as a cache that transformers' models write to and read.

All rows lie in one block a layer, which grows with the longest row and the number of rows. Knows tensors
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

GROW_BY = 512
"""Tokens by which the block of keys and values grows; each growth copies it once."""


class _SlotLayer(CacheLayerMixin):
    """One layer of `SlotCache`."""

    is_sliding = False

    def __init__(self, slots: SlotCache) -> None:
        super().__init__()
        self._slots = slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Take the block's shape from [1, heads, length, width] of the first page."""
        self.keys = key_states.new_zeros((0, key_states.shape[1], 0, key_states.shape[3]))
        self.values = value_states.new_zeros((0, value_states.shape[1], 0, value_states.shape[3]))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        slots, rows = self._slots, key_states.shape[0]
        keys, values = cast(Tensor, self.keys), cast(Tensor, self.values)
        keys[slots.rows, :, slots.lengths] = key_states[:, :, 0]
        values[slots.rows, :, slots.lengths] = value_states[:, :, 0]
        return keys[:rows, :, : slots.used], values[:rows, :, : slots.used]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._slots.used, 0

    def get_seq_length(self) -> int:
        return self._slots.used - 1

    def get_max_length(self) -> int:
        return -1


class SlotCache(Cache):
    """Keys and values of rows of different lengths, [rows, heads, longest, width] a layer."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.used = 0
        self.lengths = self.rows = torch.zeros(0, dtype=torch.long)

    def aim(self, lengths: Sequence[int], device: torch.device) -> Tensor:
        """Set where the next token of each row goes; the mask [rows, keys] with that token in it."""
        self.used = max(lengths) + 1
        self._fit(len(lengths), self.used)
        self.lengths = torch.tensor(lengths, device=device)
        self.rows = torch.arange(len(lengths), device=device)
        return torch.arange(self.used, device=device)[None] <= self.lengths[:, None]

    def put(self, row: int, cache: Cache, length: int) -> None:
        """Copy the first `length` keys of a page's own cache into a row."""
        while len(self.layers) < len(cache.layers):
            self.layers.append(_SlotLayer(self))
        for own, other in zip(self._own(), cache.layers, strict=True):
            if not own.is_initialized:
                own.lazy_initialization(cast(Any, other).keys, cast(Any, other).values)
        self._fit(row + 1, length)
        for own, other in zip(self._own(), cache.layers, strict=True):
            cast(Tensor, own.keys)[row, :, :length] = cast(Any, other).keys[0, :, :length]
            cast(Tensor, own.values)[row, :, :length] = cast(Any, other).values[0, :, :length]

    def move(self, source: int, target: int) -> None:
        """Copy a row over another."""
        for layer in self._own():
            for block in (cast(Tensor, layer.keys), cast(Tensor, layer.values)):
                block[target] = block[source]

    def drop(self) -> None:
        """Give the memory back."""
        self.layers: list[Any] = []
        self.used = 0

    def _own(self) -> list[_SlotLayer]:
        return [cast(_SlotLayer, layer) for layer in self.layers]

    def _fit(self, rows: int, length: int) -> None:
        for layer in self._own():
            layer.keys = _grown(cast(Tensor, layer.keys), rows, length)
            layer.values = _grown(cast(Tensor, layer.values), rows, length)


def _grown(block: Tensor, rows: int, length: int) -> Tensor:
    if rows <= block.shape[0] and length <= block.shape[2]:
        return block
    capacity = max(block.shape[2], -(-length // GROW_BY) * GROW_BY)
    grown = block.new_zeros((max(rows, block.shape[0]), block.shape[1], capacity, block.shape[3]))
    grown[: block.shape[0], :, : block.shape[2]] = block
    return grown
