"""What waits to be computed by one model or shared encoder, and which of it makes up the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from ml_core.serving.protocol import PRIORITIES, Priority

# How many of the oldest pieces a batch is chosen from.
_WINDOW = 256


@dataclass(frozen=True, slots=True)
class Piece:
    """The smallest thing that is computed: a text or a window of one as token ids (perhaps with type ids, for the LoRA
    adapter in a slot, 0 for none), or a row of a task that computes rows. ``length`` is what it takes of a batch's
    budget: its tokens; ``key`` is equal for pieces of which one computation serves both. Of a text with ``states`` the
    states of all tokens are wanted, which serve also who wants only their mean.
    """

    key: Hashable
    length: int
    token_ids: tuple[int, ...] = ()
    type_ids: tuple[int, ...] | None = None
    adapter: int = 0
    row: Any = None
    states: bool = False


class Answer:
    """What one request is waiting for: something found for each of its pieces; ``future`` is done when all is there.

    Cancelling the future (deadline passed, caller gone) makes its pieces unwanted.
    """

    def __init__(self, count: int) -> None:
        self.found: list[Any] = [None] * count
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._missing = count
        if not count:
            self.future.set_result(self.found)

    def deliver(self, place: int, found: Any) -> None:
        """Put ``found`` in its place; an exception fails the whole answer."""
        if self.future.done():
            return
        if isinstance(found, Exception):
            self.future.set_exception(found)
            return
        self.found[place] = found
        self._missing -= 1
        if not self._missing:
            self.future.set_result(self.found)


@dataclass(eq=False, slots=True)
class Work:
    """A piece in line, and the places in answers that its result goes to. ``arrival`` counts up over all lines."""

    piece: Piece
    arrival: int
    since: float
    asked: list[tuple[Answer, int]] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        return any(not answer.future.done() for answer, _ in self.asked)

    def deliver(self, found: Any) -> None:
        """Hand the result, or the exception, to everybody who asked."""
        for answer, place in self.asked:
            answer.deliver(place, found)


class WaitingLine:
    """Works in order of arrival, those of each priority by themselves; equal pieces are computed once.

    `draw` is fair and wastes little: the oldest is in every batch, so none waits for more batches than there are older
    ones; its companions are those of the oldest 256 that are nearest to it in length.
    """

    def __init__(self) -> None:
        # Dicts keep the order of arrival and remove from their middle in constant time.
        self._lines: dict[Priority, dict[Work, None]] = {name: {} for name in PRIORITIES}
        self._works: dict[Hashable, tuple[Work, Priority]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def waits(self, priority: Priority) -> bool:
        """Whether anything of ``priority`` is in line."""
        return bool(self._lines[priority])

    def add(
        self,
        piece: Piece,
        answer: Answer,
        place: int,
        *,
        arrival: int,
        since: float = 0.0,
        priority: Priority = "interactive",
    ) -> None:
        """Ask for a piece. One that waits or is computed already is not computed again; when it waits with a lower
        priority it takes the higher one."""
        known = self._works.get(piece.key)
        if known is not None and piece.states and not known[0].piece.states:
            # One that waits may still be computed with what is wanted more; one that is computed may not.
            if known[0] in self._lines[known[1]]:
                known[0].piece = piece
            else:
                known = None
        if known is None:
            work = Work(piece, arrival, since)
            self._works[piece.key] = (work, priority)
            self._lines[priority][work] = None
        else:
            work, had = known
            if PRIORITIES.index(priority) < PRIORITIES.index(had) and work in self._lines[had]:
                del self._lines[had][work]
                self._lines[priority][work] = None
                self._works[piece.key] = (work, priority)
        work.asked.append((answer, place))

    def oldest_arrival(self, priority: Priority) -> int:
        """Arrival number of the oldest work of ``priority``; there must be one."""
        return next(iter(self._lines[priority])).arrival

    def draw(self, budget: int, priority: Priority = "interactive") -> list[Work]:
        """Take a batch of at most ``budget`` tokens, padding included, around the oldest wanted work of ``priority``
        (which may be longer than the budget by itself). Empty when nothing waits that is still wanted."""
        window = self._oldest_wanted(priority)
        if not window:
            return []
        oldest = window[0]
        window.sort(key=_length)
        low = high = window.index(oldest)
        while True:
            size = high - low + 2
            below = window[low - 1] if low > 0 else None
            above = window[high + 1] if high + 1 < len(window) else None
            if below is not None and _length(window[high]) * size > budget:
                below = None
            if above is not None and _length(above) * size > budget:
                above = None
            if below is None and above is None:
                break
            if above is None or (
                below is not None
                and _length(oldest) - _length(below) <= _length(above) - _length(oldest)
            ):
                low -= 1
            else:
                high += 1
        batch = window[low : high + 1]
        for work in batch:
            del self._lines[priority][work]
        return batch

    def done(self, work: Work, found: Any) -> None:
        """Deliver the result, or the exception, of a work that was drawn."""
        self._forget(work)
        work.deliver(found)

    def _forget(self, work: Work) -> None:
        known = self._works.get(work.piece.key)
        if known is not None and known[0] is work:
            del self._works[work.piece.key]

    def _oldest_wanted(self, priority: Priority) -> list[Work]:
        """The oldest works that somebody still waits for, in order of arrival; unwanted ones on the way are
        dropped."""
        window: list[Work] = []
        unwanted: list[Work] = []
        for work in self._lines[priority]:
            if not work.wanted:
                unwanted.append(work)
                continue
            window.append(work)
            if len(window) == _WINDOW:
                break
        for work in unwanted:
            del self._lines[priority][work]
            self._forget(work)
        return window


def _length(work: Work) -> int:
    return work.piece.length
