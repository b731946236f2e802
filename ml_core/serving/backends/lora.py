"""LoRA adapters of many models on one torch encoder, mixed in one batch.

After each changed layer the rows of a batch, sorted by adapter, go through their own two small matrices as one grouped
product (segmented gather matrix-vector product, Chen et al. 2023, "Punica"); the matrices of all adapters lie in one
table for each layer, so adapters of any rank come and go without touching the encoder (Sheng et al. 2023, "S-LoRA").
Texts without adapter come last and cost nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grouped_mm

from ml_core.models.efficient.layers import linear_layers, output_size
from ml_core.serving.backends.low_rank import NO_ROWS, LowRank, Rows, Span, padded_places

# A grouped product wants rows of a multiple of 16 bytes: ranks are padded to this many with the table's zero row.
_RANK_STEP = 8


class _Table:
    """The matrices of all adapters of one layer, a rank a row: ``down`` (rows, in) and ``up`` (rows, out). Row 0 is
    zero; ``spans`` has the (first row, rank) of each slot."""

    def __init__(self, size: tuple[int, int], like: Tensor) -> None:
        self.down = like.new_zeros(1, size[0])
        self.up = like.new_zeros(1, size[1])
        self.spans: dict[int, Span] = {}
        self._rows = Rows()

    def add(self, slot: int, change: LowRank) -> None:
        down, up = (torch.from_numpy(each).to(self.down) for each in (change.down, change.up))
        span = self.spans[slot] = self._rows.take(change.rank)
        if span[0] == len(self.down):
            self.down, self.up = torch.cat([self.down, down]), torch.cat([self.up, up])
        else:
            rows = slice(span[0], span[0] + span[1])
            self.down[rows], self.up[rows] = down, up

    def remove(self, slot: int) -> None:
        if slot in self.spans:
            self._rows.give_back(self.spans.pop(slot))

    @property
    def memory_bytes(self) -> int:
        return self.down.nbytes + self.up.nbytes


@dataclass(frozen=True)
class Segments:
    """Whose the rows of a batch are: those of ``slots[i]`` end before row ``ends[i]``, the rest have no adapter."""

    slots: tuple[int, ...]
    ends: Tensor
    rows: int
    _places: dict[tuple[Span, ...], Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls, slots: Sequence[int], lengths: Sequence[int], device: torch.device
    ) -> Segments | None:
        """Segments of texts in the order of a batch: equal slots together, those of slot 0 last; ``lengths`` are their
        rows. None where no text has an adapter."""
        own: list[int] = []
        ends: list[int] = []
        row = 0
        for slot, length in zip(slots, lengths, strict=True):
            row += length
            if slot and own and own[-1] == slot:
                ends[-1] = row
            elif slot:
                own.append(slot)
                ends.append(row)
        if not own:
            return None
        return cls(tuple(own), torch.tensor(ends, dtype=torch.int32, device=device), ends[-1])

    def places(self, spans: tuple[Span, ...]) -> Tensor:
        """Rows of a table, (segments, rank): those of each span, padded with row 0 to the longest."""
        found = self._places.get(spans)
        if found is None:
            rows = padded_places(spans, step=_RANK_STEP)
            found = self._places[spans] = torch.tensor(rows, device=self.ends.device)
        return found


class AdapterPool:
    """The adapters of one encoder. `use` says whose texts the next forward pass has; add and remove between passes."""

    def __init__(self, encoder: Any) -> None:
        self._layers: dict[str, Any] = dict(linear_layers(encoder))
        self.sizes = {name: _size(layer) for name, layer in self._layers.items()}
        self._tables: dict[str, _Table] = {}
        self._hooks: dict[str, Any] = {}
        self._segments: Segments | None = None

    @property
    def memory_bytes(self) -> int:
        return sum(table.memory_bytes for table in self._tables.values())

    def use(self, segments: Segments | None) -> None:
        """Take ``segments`` for the following forward passes."""
        self._segments = segments

    def add(self, slot: int, changes: Mapping[str, LowRank]) -> None:
        """Take in the changes of layers (by their names in `sizes`) under a slot that is free."""
        for name, change in changes.items():
            if not change.rank:
                continue  # AdaLoRA has dropped all of it
            if name not in self._tables:
                layer = self._layers[name]
                table = self._tables[name] = _Table(self.sizes[name], layer.weight)
                self._hooks[name] = layer.register_forward_hook(partial(self._change, table))
            self._tables[name].add(slot, change)

    def remove(self, slot: int) -> None:
        """Forget an adapter; a layer that none changes any more is as it was."""
        for name, table in list(self._tables.items()):
            table.remove(slot)
            if not table.spans:
                self._hooks.pop(name).remove()
                del self._tables[name]

    def _change(self, table: _Table, _: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        """Add to ``output`` (…, out) in place what the adapters make of the input (…, in)."""
        segments = self._segments
        if segments is None:
            return
        spans = tuple(table.spans.get(slot, NO_ROWS) for slot in segments.slots)
        if not any(first for first, _ in spans):
            return
        places = segments.places(spans)
        rows = inputs[0].reshape(-1, inputs[0].shape[-1])[: segments.rows]
        narrow = grouped_mm(rows, table.down[places].transpose(1, 2), offs=segments.ends)
        wide = grouped_mm(narrow, table.up[places], offs=segments.ends)
        output.view(-1, output.shape[-1])[: segments.rows] += wide


def _size(layer: Any) -> tuple[int, int]:
    out = output_size(layer)
    return layer.weight.numel() // out, out
