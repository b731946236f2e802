"""How a reply came about, and what was understood of a message, as agents read it: what `Message.trace` says in words.

A trace is a record: it may be of an older version of the assistant. What is not there is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from apps.customer_service.models import Answer, Emotion, Message, Passage, Suggestion
from apps.customer_service.selectors.desk import reason_words
from rootstock.common.ids import uuids_of

# Of a passage's text beside its title.
EXCERPT = 160


@dataclass(frozen=True)
class Candidate:
    """Something that was found, whether the reply says it, and the numbers that ranked it; None: not counted."""

    name: str
    where: str
    excerpt: str
    used: bool
    score: float | None
    cosine: float | None
    bm25: float | None
    rerank: float | None
    words: str


@dataclass(frozen=True)
class Step:
    """One step of the assistant: how long it took, its share of the longest (0 to 1), and what came of it."""

    label: str
    milliseconds: float
    share: float
    notes: list[str]
    error: str


@dataclass
class Explanation:
    """Everything that a page shows of a trace."""

    kind: str = ""
    milliseconds: float | None = None
    language: str = ""
    # As the assistant read it: masked, and complete without the turns before it.
    question: str = ""
    intent: str = ""
    probability: float | None = None
    in_scope: bool | None = None
    # (name, word, probability), the strongest first
    emotions: list[tuple[str, str, float]] = field(default_factory=list)
    # (deployment, version)
    versions: list[tuple[str, str]] = field(default_factory=list)
    # (deployment, why it said nothing)
    absent: list[tuple[str, str]] = field(default_factory=list)
    answers: list[Candidate] = field(default_factory=list)
    # How surely the best prepared answer is meant; what the sources support of the reply. Both 0 to 1.
    match: float | None = None
    passages: list[Candidate] = field(default_factory=list)
    support: float | None = None
    search_model: str = ""
    steps: list[Step] = field(default_factory=list)


def message_explain(message: Message) -> Explanation:
    """How a message of the assistant came about, or what was understood of a visitor's."""
    cited = {str(citation.get("passage")) for citation in message.citations}
    found = trace_explain(message.trace, cited=cited, kind=message.kind)
    if message.author == Message.Author.VISITOR:
        found.kind = ""
    return found


def suggestion_explain(suggestion: Suggestion) -> Explanation:
    """Why a reply was proposed."""
    cited = {str(citation.get("passage")) for citation in suggestion.citations}
    return trace_explain(suggestion.trace, cited=cited)


def trace_explain(
    trace: Mapping[str, Any], *, cited: Iterable[str] = (), kind: str = ""
) -> Explanation:
    """A stored trace in words.

    Args:
        cited: ids of the passages that the reply names.
        kind: how the reply was made, as `Message.kind` says it.
    """
    steps = [step for step in trace.get("steps") or [] if isinstance(step, dict)]
    by_name = {str(step.get("step")): step for step in steps}
    # Of a visitor's message the understanding is the trace itself.
    said = by_name.get("understand", trace)
    template, searched = by_name.get("template", {}), by_name.get("retrieve", {})
    seconds = _number(trace.get("seconds"))
    found = Explanation(
        kind=_kinds().get(kind, kind),
        milliseconds=None if seconds is None else 1000 * seconds,
        language=str(trace.get("language") or ""),
        question=str(trace.get("question") or by_name.get("context", {}).get("standalone") or ""),
        intent=str(said.get("intent") or ""),
        probability=_number(said.get("probability")),
        in_scope=said.get("in_scope"),
        emotions=_emotions(said.get("emotions") or {}),
        versions=sorted(_pairs(said.get("versions"))),
        absent=[(name, _why(why)) for name, why in sorted(_pairs(said.get("absent")))],
        match=_number(template.get("match")),
        support=_number(by_name.get("compose", {}).get("support")),
        search_model=str(searched.get("model") or template.get("model") or ""),
        steps=_steps(steps),
    )
    given = str(template.get("answer") or "") if kind == "template" else ""
    found.answers = _answers(template.get("candidates") or [], given)
    found.passages = _passages(searched.get("candidates") or [], set(cited))
    return found


# --- what was found -------------------------------------------------------------------------------------


def _answers(candidates: list[dict[str, Any]], given: str) -> list[Candidate]:
    """Prepared answers by their questions' keys, "<answer>:<number>:<live|draft>"; each answer once."""
    best: dict[str, dict[str, Any]] = {}
    for candidate in candidates:
        best.setdefault(str(candidate.get("key", "")).split(":")[0], candidate)
    rows = {str(row.pk): row for row in Answer.objects.filter(pk__in=uuids_of(best))}
    return [
        _candidate(
            candidate,
            name=rows[key].title if key in rows else _("An answer that is gone"),
            where=rows[key].intent if key in rows else "",
            used=key == given,
        )
        for key, candidate in best.items()
    ]


def _passages(candidates: list[dict[str, Any]], cited: set[str]) -> list[Candidate]:
    keys = [str(candidate.get("key", "")) for candidate in candidates]
    rows = {
        str(row.pk): row
        for row in Passage.objects.filter(pk__in=uuids_of(keys)).select_related("document__source")
    }
    found = []
    for key, candidate in zip(keys, candidates, strict=True):
        row = rows.get(key)
        if row is None:
            name, where, excerpt = _("A passage that is gone"), "", ""
        else:
            name = row.document.title or row.document.source.title
            page = _("page %(n)d") % {"n": row.page} if row.page else ""
            where = " · ".join(part for part in (*row.headings[-1:], page) if part)
            excerpt = row.text[:EXCERPT]
        found.append(
            _candidate(candidate, name=name, where=where, excerpt=excerpt, used=key in cited)
        )
    return found


def _candidate(
    numbers: Mapping[str, Any], *, name: str, where: str, used: bool, excerpt: str = ""
) -> Candidate:
    return Candidate(
        name=name,
        where=where,
        excerpt=excerpt,
        used=used,
        score=_number(numbers.get("score")),
        cosine=_number(numbers.get("cosine")),
        bm25=_number(numbers.get("bm25")),
        rerank=_number(numbers.get("rerank")),
        words=", ".join(str(word) for word in numbers.get("words") or []),
    )


# --- the steps ------------------------------------------------------------------------------------------


def _steps(steps: list[dict[str, Any]]) -> list[Step]:
    times = [_number(step.get("seconds")) or 0.0 for step in steps]
    longest = max(times, default=0.0) or 1.0
    labels = _step_labels()
    return [
        Step(
            label=labels.get(str(step.get("step")), str(step.get("step"))),
            milliseconds=1000 * seconds,
            share=seconds / longest,
            notes=[note for name, words in _NOTES.items() if name in step if (note := words(step))],
            error=str(step.get("error") or step.get("problem") or step.get("generator") or ""),
        )
        for step, seconds in zip(steps, times, strict=True)
    ]


def _masked(step: Mapping[str, Any]) -> str:
    counts = step["masked"] if isinstance(step["masked"], dict) else {}
    return ", ".join(f"{name} × {count}" for name, count in counts.items())


# By the name of a result: what it says. In the order in which they are read.
_NOTES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "skipped": lambda step: _("Skipped: %(why)s") % {"why": _why(str(step["skipped"]))},
    "masked": _masked,
    "blocked": lambda step: _("A blocked word") if step["blocked"] else "",
    "injection": lambda step: _("Instructions to a model were found and not followed"),
    "standalone": lambda step: _("Read as: %(text)s") % {"text": step["standalone"]},
    "flow": lambda step: str(step["flow"]),
    "people": lambda step: _("Asks for a person"),
    "by": lambda step: _("Sentences of the sources, word for word")
    if step["by"] == "extractive"
    else str(step["by"]),
    "refused": lambda step: _("The model found no answer in the sources"),
    "removed": lambda step: _("Left out because no source supports it: %(n)s") % {"n": step["removed"]}
    if step["removed"]
    else "",
    "guard": lambda step: _("Changed for safety: %(what)s") % {"what": _listed(step["guard"])},
    "reason": lambda step: reason_words(str(step["reason"])),
    "hand_off": lambda step: _("Handed over to people"),
}  # fmt: skip


def _step_labels() -> dict[str, str]:
    return {
        "settings": _("Settings read"),
        "mask": _("Personal data masked"),
        "language": _("Language"),
        "guard": _("Guards"),
        "understand": _("Understood"),
        "context": _("Turns before"),
        "flow": _("Flow"),
        "small-talk": _("Small talk"),
        "template": _("Prepared answers"),
        "retrieve": _("Sources searched"),
        "compose": _("Answer written"),
        "offer": _("Nothing found"),
    }


def _kinds() -> dict[str, str]:
    return {
        "template": _("Prepared answer"),
        "composed": _("From the sources"),
        "generated": _("Written by a model"),
        "flow": _("Flow"),
        "small-talk": _("Small talk"),
        "none": _("No answer"),
    }


def _why(reason: str) -> str:
    """Why a step or a model had nothing to say; an error is shown as it was."""
    known = {
        "not deployed": _("not deployed"),
        "small talk": _("small talk"),
        "nothing to read": _("nothing to read"),
        "nothing has been written or published yet": _("nothing has been published yet"),
    }
    return known.get(reason, reason)


# --- values ---------------------------------------------------------------------------------------------


def _emotions(shares: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    words = {value: str(label) for value, label in Emotion.choices}
    known = [(name, words.get(name, name), _number(share) or 0.0) for name, share in shares.items()]
    return sorted(known, key=lambda row: -row[2])


def _pairs(values: Any) -> list[tuple[str, str]]:
    return [(str(k), str(v)) for k, v in values.items()] if isinstance(values, dict) else []


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | dict) else str(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
