"""Lines of dialogues on disk, given back by conversation and in order: memory does not grow with an import."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from apps.customer_service.services.learning.dialogue_lines import DialogueLine

_INSERT: Final = 1000
_COLUMNS: Final = (
    "line, place, conversation, time, who, text, customer, language, resolved, rating, intent, emotion, "
    "edited"
)
# Of surplus lines so many are kept to be named.
_SURPLUS_KEPT: Final = 1000


class Spool:
    """A file of lines that lives as long as its `with` block.

    `count`: of conversations, once filled. `surplus`: the lines of those that were longer than they may be.
    """

    def __init__(self) -> None:
        self.count = 0
        self.surplus: list[int] = []

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="dialogues-")
        self._base = sqlite3.connect(Path(self._folder.name) / "lines.sqlite")
        # It is worth nothing after a crash.
        self._base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        self._base.execute(f"CREATE TABLE lines ({_COLUMNS})")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._base.close()
        self._folder.cleanup()

    def fill(self, lines: Iterable[DialogueLine]) -> None:
        """Take all lines."""
        values = map(_values, lines)
        marks = ", ".join("?" * (_COLUMNS.count(",") + 1))
        while part := list(islice(values, _INSERT)):
            self._base.executemany(f"INSERT INTO lines VALUES ({marks})", part)  # noqa: S608
        self._base.execute("CREATE INDEX by_conversation ON lines (conversation, line, place)")
        [self.count] = self._base.execute(
            "SELECT count(DISTINCT conversation) FROM lines"
        ).fetchone()

    def dialogues(self, *, most: int) -> Iterator[list[DialogueLine]]:
        """The lines of each conversation: by time where every one has a time, else as the file has them.

        Those beyond `most`, in the order of the file, are left out.
        """
        found = self._base.execute(
            f"SELECT {_COLUMNS} FROM lines ORDER BY conversation, line, place"  # noqa: S608
        )
        for _key, group in groupby(found, key=lambda row: row[2]):
            lines = [_line(row) for row in islice(group, most)]
            for row in group:
                if len(self.surplus) < _SURPLUS_KEPT:
                    self.surplus.append(row[0])
            if all(line.time is not None for line in lines):
                lines.sort(key=lambda line: line.time.timestamp() if line.time else 0.0)
            yield lines


def _values(line: DialogueLine) -> tuple[Any, ...]:
    time = line.time.isoformat() if line.time else None
    return (
        *(line.line, line.place, line.conversation, time, line.who, line.text, line.customer),
        *(line.language, line.resolved, line.rating, line.intent, line.emotion, line.edited),
    )


def _line(row: tuple[Any, ...]) -> DialogueLine:
    line, place, conversation, time, who, text, customer, language, resolved, *rest = row
    rating, intent, emotion, edited = rest
    return DialogueLine(
        line=line,
        place=place,
        conversation=conversation,
        time=datetime.fromisoformat(time) if time else None,
        who=who,
        text=text,
        customer=customer,
        language=language,
        resolved=None if resolved is None else bool(resolved),
        rating=rating,
        intent=intent,
        emotion=emotion,
        edited=bool(edited),
    )
