"""Whose turn it is: which line, and which priority, gives the next batch."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from ml_core.serving.protocol import PRIORITIES, Priority
from ml_core.serving.waiting import WaitingLine, Work

# While people wait as well, one batch in so many is of works that nobody sits and waits for, so that these go on.
_BATCH_TURN = 4


class HasLine(Protocol):
    """Something that computes what waits in its line, at most ``budget`` padded tokens at a time."""

    @property
    def line(self) -> WaitingLine: ...
    @property
    def budget(self) -> int: ...


Served = TypeVar("Served", bound=HasLine)


class Scheduler(Generic[Served]):
    """Lines with works in them. Interactive works go first, whichever line they wait in, the oldest foremost; of
    "batch" works at least one batch in four is taken, so they never stand still."""

    def __init__(self) -> None:
        self._busy: dict[Served, None] = {}
        self._turns = 0

    def __bool__(self) -> bool:
        return bool(self._busy)

    def add(self, served: Served) -> None:
        """There is something in the line of ``served``."""
        self._busy[served] = None

    def waits(self, priority: Priority) -> bool:
        """Whether anything of ``priority`` is in any line."""
        return any(served.line.waits(priority) for served in self._busy)

    def next(self) -> tuple[Served, list[Work]] | None:
        """The next batch and what computes it; None when nothing is left that anybody wants."""
        while True:
            # A line is empty too when all that was asked of it is being computed already.
            self._busy = {served: None for served in self._busy if len(served.line)}
            if not self._busy:
                return None
            priority = self._turn()
            waiting = [each for each in self._busy if each.line.waits(priority)]
            served = min(waiting, key=lambda each: each.line.oldest_arrival(priority))
            batch = served.line.draw(served.budget, priority)
            if batch:
                self._turns = 0 if priority != PRIORITIES[0] else self._turns + 1
                return served, batch

    def _turn(self) -> Priority:
        first, later = PRIORITIES
        if not self.waits(first):
            return later
        if self._turns >= _BATCH_TURN - 1 and self.waits(later):
            return later
        return first
