"""Conversations to token ids: the chat template, whole turns cut from the left, and which tokens are learned.

A tokenizer with a chat template is used as its maker meant it. One without gets a plain template, which is saved with
the model: a line for each turn, ``System: …``, ``User: …`` and ``Assistant: …`` followed by the token that ends a
text. An encoder-decoder reads the same lines without the reply, or the bare text where there is only one message (a
prompt with its response), as such models are pretrained.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2.exceptions import TemplateError

from ml_core.data.errors import DataError

IGNORED = -100
Message = dict[str, str]

PLAIN_DECODER = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
PLAIN_ENCODER = (
    "{% if messages | length == 1 %}{{ messages[0]['content'] }}{% else %}{% for message in messages %}"
    "{{ message['role'] | capitalize }}: {{ message['content'] }}{{ '\\n' }}{% endfor %}{% endif %}"
)


@dataclass(frozen=True)
class Example:
    """What a model reads and is to say. For a decoder ``labels`` is as long as ``input_ids``, with IGNORED at what is
    not learned; for an encoder-decoder it is the reply."""

    input_ids: list[int]
    labels: list[int]


class Conversations:
    """Turns into the ids of one model. ``limit`` tokens are read; a decoder that writes keeps ``reserve`` of them (at
    most half) for its reply. ``stop_ids`` end a reply."""

    def __init__(
        self, tokenizer: Any, *, limit: int, reserve: int = 0, encoder_decoder: bool = False
    ) -> None:
        self._tokenizer = tokenizer
        self._limit = limit
        self._encoder_decoder = encoder_decoder
        self._before: list[int] = []
        self._after: list[int] = []
        if not tokenizer.chat_template:
            tokenizer.chat_template = (
                PLAIN_ENCODER if encoder_decoder else _plain_decoder(tokenizer)
            )
        if encoder_decoder:
            if tokenizer.chat_template == PLAIN_ENCODER:
                self._before, self._after = special_ends(tokenizer)
            self._prompt_limit = limit - len(self._before) - len(self._after)
            self._end = [tokenizer.eos_token_id]
            self.stop_ids = [tokenizer.eos_token_id]
        else:
            self._prompt_limit = limit - min(reserve, limit // 2)
            self._probe()

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """What the model reads to write the next reply: the newest turns that fit, never half an older one. Replies
        after the last user's message are left out."""
        turns = list(messages)
        while turns[-1]["role"] == "assistant" and len(turns) > 1:
            turns.pop()
        to_write = not self._encoder_decoder
        kept = self._newest(turns, self._prompt_limit, to_write=to_write)
        ids = self._ids(self._render(kept, to_write=to_write))
        return [*self._before, *ids[-self._prompt_limit :], *self._after]

    def examples(self, messages: Sequence[Message], *, every_reply: bool) -> list[Example]:
        """What is learned from a conversation: each reply (or the last one) once, after as much of what came before
        as fits. A decoder learns several replies from one text; a text that is too long becomes several, of which
        each begins with about half its length of turns learned before."""
        places = [
            place for place, turn in enumerate(messages) if turn["role"] == "assistant" and place
        ]
        if not every_reply:
            places = places[-1:]
        if self._encoder_decoder:
            return [
                Example(self.prompt(messages[:place]), self._reply(messages[place]["content"]))
                for place in places
            ]
        found = []
        learned = 0
        while learned < len(places):
            first = places[learned]
            room = self._limit // 2 if learned else self._limit
            context = self._newest(messages[: first + 1], room)[:-1]
            last = (
                learned
                if self._rewrites_history
                else self._last(messages, places, learned, context)
            )
            turns = [*context, *messages[first : places[last] + 1]]
            found.append(self._cut(*self._pieces(turns, len(context))))
            learned = last + 1
        return found

    def _newest(
        self, turns: Sequence[Message], limit: int, *, to_write: bool = False
    ) -> list[Message]:
        """The turns without the oldest ones where all of them are more than ``limit`` tokens; a system's message stays,
        and the first of the others is a user's."""
        system = list(turns[:1]) if turns[0]["role"] == "system" else []
        starts = [
            place
            for place in range(len(system), len(turns))
            if turns[place]["role"] == "user" or place == len(system)
        ]
        if not starts:
            return system
        start = bisect_left(
            starts,
            -limit,
            key=lambda place: -self._length([*system, *turns[place:]], to_write=to_write),
        )
        return [*system, *turns[starts[min(start, len(starts) - 1)] :]]

    def _last(
        self, messages: Sequence[Message], places: list[int], learned: int, context: list[Message]
    ) -> int:
        """The last of ``places`` up to which the text fits."""
        first = places[learned]
        fitting = bisect_right(
            range(learned, len(places)),
            self._limit,
            key=lambda last: self._length([*context, *messages[first : places[last] + 1]]),
        )
        return learned + max(fitting - 1, 0)

    def _pieces(self, turns: list[Message], learned_from: int) -> tuple[list[int], list[int]]:
        """Ids and labels of a text in which the replies from place ``learned_from`` on are learned."""
        ids: list[int] = []
        labels: list[int] = []
        done = ""
        for place in range(learned_from, len(turns)):
            if turns[place]["role"] != "assistant":
                continue
            prompt = self._render(turns[:place], to_write=True)
            whole = self._render(turns[: place + 1])
            if not (prompt.startswith(done) and whole.startswith(prompt)):
                # The template shows a reply otherwise than it asks for one.
                whole = prompt + turns[place]["content"]
            before = self._ids(prompt.removeprefix(done))
            reply = self._ids(whole.removeprefix(prompt))
            end = _place_of_last(reply, self.stop_ids)
            if end is None:
                reply = [*reply, self._end[0]]
                end = len(reply) - 1
            ids += before + reply
            labels += [IGNORED] * len(before) + reply[: end + 1]
            labels += [IGNORED] * (len(reply) - end - 1)
            done = whole
        return ids, labels

    def _cut(self, ids: list[int], labels: list[int]) -> Example:
        """At most ``limit`` tokens: from the left down to half of them, then from the right."""
        first = next(place for place, label in enumerate(labels) if label != IGNORED)
        kept = min(first, max(self._limit // 2, self._limit - (len(ids) - first)))
        part = slice(first - kept, first - kept + self._limit)
        return Example(ids[part], labels[part])

    def _reply(self, text: str) -> list[int]:
        ids = list(self._tokenizer(text_target=text, truncation=False)["input_ids"])
        if ids[-1:] != self._end:
            ids += self._end
        return ids[: self._limit]

    def _render(self, turns: Sequence[Message], *, to_write: bool = False) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                list(turns), tokenize=False, add_generation_prompt=to_write
            )
        except TemplateError as error:
            raise DataError(f"the chat template of the base refuses the turns: {error}") from error
        return str(text)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _length(self, turns: Sequence[Message], *, to_write: bool = False) -> int:
        return len(self._ids(self._render(turns, to_write=to_write)))

    def _probe(self) -> None:
        """Find out by example how the template ends a reply, and whether it shows older replies otherwise than the
        newest (some leave out their reasoning)."""
        turns = [
            {"role": role, "content": content}
            for content in ("one", "two")
            for role in ("user", "assistant")
        ]
        first, second = self._render(turns[:2]), self._render(turns[:3], to_write=True)
        self._rewrites_history = not second.startswith(first)
        prompt = self._render(turns[:1], to_write=True)
        reply = self._ids(first.removeprefix(prompt) if first.startswith(prompt) else "")
        special = {
            number
            for number, token in self._tokenizer.added_tokens_decoder.items()
            if token.special
        } | set(self._tokenizer.all_special_ids)
        last = _place_of_last(reply, special)
        end = self._tokenizer.eos_token_id if last is None else reply[last]
        self._end = [end]
        self.stop_ids = sorted({end, self._tokenizer.eos_token_id})


def _place_of_last(ids: Sequence[int], wanted: Sequence[int] | set[int]) -> int | None:
    return next((place for place in reversed(range(len(ids))) if ids[place] in wanted), None)


def _plain_decoder(tokenizer: Any) -> str:
    """`PLAIN_DECODER`, begun by the token that the tokenizer itself begins every text with."""
    begins = tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][:1] == [
        tokenizer.bos_token_id
    ]
    return ("{{ bos_token }}" if begins else "") + PLAIN_DECODER


def special_ends(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return list(full[:start]), list(full[start + len(bare) :])
    return [], []
