"""Which question of a dialogue was answered by which reply, and how good the answer was."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from apps.customer_service.inference.text import language_of, masked, normal
from apps.customer_service.inference.words import words_of
from apps.customer_service.models import Message
from apps.customer_service.services.answering.context import is_follow_up
from apps.customer_service.services.answering.small_talk import people_asked, small_talk_kind

# Why a pair is proposed, and what each reason adds to its score; being asked often adds up to the rest.
WEIGHTS: Final = {"resolved": 0.25, "rated": 0.2, "agent": 0.1, "edited": 0.2}
OFTEN: Final = 0.25
# From this many dialogues on it is asked as often as can be.
MOST_SUPPORT: Final = 8
GOOD_RATING: Final = 4
BAD_RATING: Final = 2
LONGEST_QUESTION: Final = 1000
LONGEST_REPLY: Final = 4000
# Less says nothing: characters, where a Chinese one counts for three.
_LEAST_REPLY: Final = 24
_LEAST_QUESTION: Final = 10
_WIDE: Final = re.compile(r"[\u3400-\u9fff]")
# Calls for people that are too rough for the assistant to act on.
_PERSON: Final = re.compile(
    r"^\W*(?:an? )?(?:person|human|agent|operator)\W*(?:please|now)?\W*$|\b(?:somebody|someone) real\b"
)
# Replies that end a talk and answer nothing.
_CLOSES: Final = re.compile(
    r"^\W*(?:you'?re (?:very )?welcome|happy to help|glad (?:to|i)|my pleasure|any ?time\b|no problem|anything else"
    r"|不客气|不用谢|应该的|没事|祝您|还有什么|还有其他)"
)
_PART: Final = re.compile(r"^[^,.!?，。！？~～:：]{1,40}[,.!?，。！？~～:：]+\s*")
_MARKS: Final = " ?？!！.。,，;；:：、~～"


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a dialogue. `edited`: an agent sent it after changing what was proposed."""

    author: str
    text: str
    thumb: int | None = None
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A dialogue and how it ended. `names`: of the customer, to be masked; `imported`: not held here."""

    id: uuid.UUID
    messages: Sequence[Said]
    language: str = ""
    intent: str = ""
    resolved: bool = False
    rating: int | None = None
    imported: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the reply that settled it, both masked."""

    dialogue: uuid.UUID
    question: str
    reply: str
    language: str
    intent: str
    reasons: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The same for a pair that says the same."""
        told = f"{self.intent}\n{_plain(self.question)}\n{_plain(self.reply)}"
        return hashlib.blake2b(told.encode(), digest_size=32).hexdigest()

    @property
    def weight(self) -> float:
        """How good it is by itself, 0 to 1 - OFTEN."""
        return sum(WEIGHTS[reason] for reason in self.reasons)


def pairs_of(dialogue: Dialogue) -> Iterator[Pair]:
    """The pairs of a dialogue, at most one for each stretch of it that ends with an answer.

    A dialogue that was rated badly has none, nor has one of which nothing says that it went well. What the assistant
    of this installation said is in the knowledge already, so it counts only in imports; where a person answered, the
    person's reply counts and not what the assistant had tried before.
    """
    if dialogue.rating is not None and dialogue.rating <= BAD_RATING:
        return
    first = _first_question(dialogue)
    for asked, replies in _stretches(dialogue):
        questions = [text for text in asked if is_question(text, dialogue.language)]
        reply = "\n\n".join(each.text.strip() for each in replies)[:LONGEST_REPLY]
        if not questions or not _answers(reply):
            continue
        question = _best(questions, reply)
        reasons = tuple(_reasons(dialogue, replies))
        # That a dialogue was resolved says it of what was asked first, and little of the rest.
        enough = {"rated", "edited"} | ({"resolved"} if question == first else set())
        if not enough & set(reasons):
            continue
        yield Pair(
            dialogue=dialogue.id,
            question=_private(_without_greeting(question), dialogue.names)[:LONGEST_QUESTION],
            reply=_private(reply, dialogue.names),
            language=language_of(question, hint=dialogue.language),
            # The intent of a dialogue is that of what was asked first.
            intent=dialogue.intent if question == first else "",
            reasons=reasons,
        )


def score_of(weight: float, support: int) -> float:
    """0 to 1, from how good the best pair of a kind is and in how many dialogues it was found."""
    often = min(1.0, (support - 1) / (MOST_SUPPORT - 1))
    return round(min(1.0, weight + OFTEN * often), 4)


def _stretches(dialogue: Dialogue) -> Iterator[tuple[list[str], list[Said]]]:
    """What was asked, and the replies that followed: those of people, where people took part."""
    people = any(each.author == Message.Author.AGENT for each in dialogue.messages)
    asked: list[str] = []
    replies: list[Said] = []
    for each in dialogue.messages:
        if each.author == Message.Author.VISITOR:
            if replies:
                yield asked, replies
                asked, replies = [], []
            asked.append(each.text)
        elif _counts(each, dialogue, people=people):
            replies.append(each)
    if replies:
        yield asked, replies


def _counts(said: Said, dialogue: Dialogue, *, people: bool) -> bool:
    """Whether somebody may learn from a reply."""
    if said.thumb == -1:
        return False
    if people:
        return said.author == Message.Author.AGENT
    return said.author == Message.Author.ASSISTANT and (dialogue.imported or said.thumb == 1)


def _reasons(dialogue: Dialogue, replies: Sequence[Said]) -> Iterator[str]:
    if dialogue.resolved:
        yield "resolved"
    if (dialogue.rating or 0) >= GOOD_RATING or any(each.thumb == 1 for each in replies):
        yield "rated"
    if replies[0].author == Message.Author.AGENT:
        yield "agent"
    if any(each.edited for each in replies):
        yield "edited"


def is_question(text: str, language: str) -> bool:
    """Whether a customer's message asks for something and can be understood by itself."""
    return (
        _size(text) >= _LEAST_QUESTION
        and not small_talk_kind(text)
        and not _calls(text)
        and not is_follow_up(text, language_of(text, hint=language))
    )


def _answers(reply: str) -> bool:
    """Whether a reply says something."""
    return _size(reply) >= _LEAST_REPLY and not _CLOSES.search(reply.casefold())


def _without_greeting(text: str) -> str:
    """A question without the "Hi there!" before it."""
    while (part := _PART.match(text)) and small_talk_kind(part.group()) and text[part.end() :]:
        text = text[part.end() :]
    return text


def _calls(text: str) -> bool:
    """Whether somebody only calls for people."""
    return people_asked(text) or bool(_PERSON.search(text.casefold()))


def _best(questions: Sequence[str], reply: str) -> str:
    """The question that shares most words with the reply; of equals the first."""
    told = set(words_of(reply))
    return max(questions, key=lambda text: len(told & set(words_of(text))) / len(text) ** 0.5)


def _first_question(dialogue: Dialogue) -> str:
    asked = (each.text for each in dialogue.messages if each.author == Message.Author.VISITOR)
    return next((text for text in asked if is_question(text, dialogue.language)), "")


def _private(text: str, names: Sequence[str]) -> str:
    """A text without personal data and the customer's own names."""
    for name in names:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<NAME>", text, flags=re.IGNORECASE)
    return masked(text)[0].strip()


def _plain(text: str) -> str:
    return normal(text).strip(_MARKS)


def _size(text: str) -> int:
    return len(text.strip()) + 2 * len(_WIDE.findall(text))
