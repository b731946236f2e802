"""The answer made of what was found: by a generator if there is one, else of the sources' own sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.customer_service.inference.composing import Passage, compose, sentences
from apps.customer_service.services.answering.generating import GeneratorAway, generate
from apps.customer_service.services.answering.guards import injections
from apps.customer_service.services.answering.steps import Hit, State

# Of the best passage's score: what is further behind is about something else.
_WORTH = 0.5


def compose_answer(state: State, result: dict[str, Any]) -> bool:
    """Write the answer, each sentence with its source; nothing where the sources do not support one."""
    sources = [hit for hit in state.hits if hit.score >= _WORTH * state.hits[0].score]
    if not sources:
        return False
    if state.generator is not None:
        result["by"] = state.generator.name
        try:
            if generate(state, state.generator, sources, result):
                state.reply.kind = "generated"
                return True
            if result.get("refused"):
                return False
        except GeneratorAway as error:
            result["generator"] = str(error)[:200]
            if state.reply.body:
                # Some of it has been read already: it stands as far as it goes.
                state.reply.kind = "generated"
                return True
    return _extract(state, sources, result)


def _extract(state: State, sources: list[Hit], result: dict[str, Any]) -> bool:
    """Sentences of the sources, word for word."""
    result["by"] = "extractive"
    # Of a follow-up, what it says itself: the rest was carried over from the question before it.
    focus = state.text if state.standalone != state.text else ""
    unwanted = state.question.avoid
    composed = compose(state.standalone, [_passage(hit, unwanted) for hit in sources], focus=focus)
    result["support"] = round(composed.support, 4)
    if composed.support < state.assistant.support_threshold or not composed.sentences:
        return False
    guard = state.guard([f"{hit.passage.text}\n{hit.passage.url}" for hit in sources])
    chosen: list[tuple[int, str]] = []
    for sentence in composed.sentences:
        text = guard.checked(sentence.text)
        if text:
            chosen.append((sentence.passage, text))
    if guard.notes:
        result["guard"] = guard.notes
    if not chosen:
        return False
    state.reply.kind = "composed"
    result["sentences"] = _write(state, sources, chosen)
    return True


def _write(state: State, sources: list[Hit], chosen: list[tuple[int, str]]) -> int:
    """Show the sentences, and cite the source after each run of its sentences."""
    numbers: dict[int, int] = {}
    for place, (passage, text) in enumerate(chosen):
        number = numbers.setdefault(passage, len(numbers) + 1)
        last = place + 1 == len(chosen) or chosen[place + 1][0] != passage
        quote = [each for source, each in chosen if source == passage]
        if number > len(state.reply.citations):
            citation = sources[passage - 1].passage.citation(number, "\n".join(quote))
            state.reply.citations.append(citation)
        state.tell(f"{state.gap(text)}{text}" + (f" [{number}]" if last else ""))
    return len(chosen)


def _passage(hit: Hit, unwanted: Sequence[str]) -> Passage:
    """A source without the sentences that give orders to a model, and those of answers that were not wanted."""
    text = hit.passage.text
    if injections(text) or unwanted:
        # A table's rows mean nothing without its header.
        header = hit.passage.kind == "table"
        text = "\n".join(
            part
            for place, part in enumerate(sentences(text))
            if not injections(part)
            and ((header and place == 0) or not any(part in each for each in unwanted))
        )
    return Passage(
        text=text,
        headings=hit.passage.headings,
        kind=hit.passage.kind,  # type: ignore[arg-type]  # the reader's kinds are these
        score=hit.score,
    )
