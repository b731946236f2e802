"""What the steps of an answer share."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.customer_service.inference.understanding import Target, Understanding
from apps.customer_service.models import Assistant
from apps.customer_service.selectors.answering import FoundPassage
from apps.customer_service.services.answering.guards import OutputGuard
from apps.customer_service.services.answering.questions import Question, Reply, Turn
from apps.customer_service.services.answering.small_talk import SmallTalk
from rootstock.gateway.inference import Local, Remote

# Takes a piece of the answer as soon as it is sure; False: nobody wants the rest.
Say = Callable[[str], bool]


_BLOCK = re.compile(r"\s*(?:[-*•] |\d{1,2}[.)、] ?(?=\D)|\||#)")


class Stopped(Exception):
    """Whoever asked wants no more of the answer."""


@dataclass(frozen=True)
class Hit:
    """A passage that was found, and how well: `score` from 0 to 1."""

    passage: FoundPassage
    score: float


@dataclass
class State:
    """An answer on its way through the steps.

    `text` is the masked question, `turns` what was said before, masked, the oldest first, `standalone` what is searched
    for. `generator`: what writes, where the assistant's composer is one and it is there.
    """

    organisation_id: uuid.UUID
    question: Question
    assistant: Assistant
    collections: dict[str, uuid.UUID]
    targets: dict[str, Target]
    generator: Local | Remote | None
    say: Say
    reply: Reply = field(default_factory=Reply)
    text: str = ""
    turns: list[Turn] = field(default_factory=list)
    standalone: str = ""
    language: str = "en"
    small_talk: SmallTalk | None = None
    people_asked: bool = False
    understanding: Understanding = field(default_factory=Understanding)
    hits: list[Hit] = field(default_factory=list)
    # What a flow says after its interruption is answered.
    afterwards: str = ""

    @property
    def filters(self) -> dict[str, Any]:
        """What an item must be for this question to be found."""
        found: dict[str, Any] = {"draft" if self.question.draft else "live": True}
        # Filters are "and"; of several audiences any will do, and that is looked at when the rows are read.
        if len(self.question.audiences) == 1:
            found[f"aud_{self.question.audiences[0]}"] = True
        return found

    def guard(self, sources: Sequence[str]) -> OutputGuard:
        """What looks at sentences that come from these sources."""
        return OutputGuard(
            sources=sources,
            own=self.question.text,
            blocked_words=self.assistant.blocked_words,
        )

    def gap(self, text: str) -> str:
        """What stands between the answer so far and this: a paragraph's end beside lists, tables and headings."""
        if not self.reply.body:
            return ""
        block = "\n" in text or _BLOCK.match(text)
        if block or "\n" in self.reply.body.rpartition("\n\n")[2]:
            return "\n\n"
        listed = _BLOCK.match(self.reply.body.rpartition("\n\n")[2])
        return "\n\n" if listed else "" if self.language == "zh" else " "

    def tell(self, piece: str) -> None:
        """Add a piece to the answer and show it.

        Raises:
            Stopped: nobody wants the rest.
        """
        self.reply.body += piece
        if not self.say(piece):
            raise Stopped
