"""What is asked, and what is said to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from apps.customer_service.models import PUBLIC_AUDIENCE

Kind = Literal["template", "composed", "generated", "flow", "small-talk", "none"]

# Reasons of a hand-off, and of an unanswered question, as the rows have them.
PEOPLE_ASKED = "people-asked"
NO_HELP = "not-helped"
THUMB_DOWN = "thumb-down"
NO_PASSAGE = "no-passage"
NO_SUPPORT = "no-support"
OUT_OF_SCOPE = "out-of-scope"


class Unavailable(Exception):
    """What an answer needs does not answer itself at the moment; asked again soon it may."""


class Turn(NamedTuple):
    """Something that was said before. `author`: "visitor", "assistant" or "agent"."""

    author: str
    text: str


@dataclass(frozen=True)
class Question:
    """What somebody asks.

    `turns`: (author, text) of what was said before, the oldest first. `language`: what is spoken so far; the text
    decides. `audiences`: whose knowledge may be used. `draft`: ask what would be published, not what is. `composer`:
    another way of writing than the assistant's own. `channel`: whose assistant answers. `conversation` and `message`:
    the visitor's message that is being answered; only then may flows take part. `choice`: the value of the button that
    was pressed. `avoid`: replies that were given before and were not wanted. `unhelped` and `anger`: how the
    conversation went until now.
    """

    text: str
    turns: Sequence[tuple[str, str]] = ()
    language: str = ""
    audiences: Sequence[str] = (PUBLIC_AUDIENCE,)
    draft: bool = False
    composer: str | None = None
    channel: uuid.UUID | None = None
    conversation: uuid.UUID | None = None
    message: uuid.UUID | None = None
    choice: str = ""
    avoid: Sequence[str] = ()
    unhelped: int = 0
    anger: float = 0.0


@dataclass
class Reply:
    """What is said to a question, and how it came about.

    `hand_off`: the reason for which people take over now. `unanswered`: why nothing was found, for the log.
    `standalone`: the question as it reads without the turns before it, masked. `emotions`: of the message, where a
    model told. `effects`: what is to be written together with the reply, each called in that transaction.
    """

    kind: Kind = "none"
    body: str = ""
    language: str = "en"
    citations: list[dict[str, Any]] = field(default_factory=list)
    choices: list[dict[str, Any]] = field(default_factory=list)
    trace: dict[str, Any] = field(default_factory=dict)
    hand_off: str | None = None
    unanswered: str | None = None
    standalone: str = ""
    intent: str = ""
    emotions: dict[str, float] = field(default_factory=dict)
    effects: list[Callable[[], None]] = field(default_factory=list)

    @property
    def helped(self) -> bool:
        """Whether it says something that was asked for."""
        return self.kind in ("template", "composed", "generated", "flow")
