"""Asking the deployed models about documents: all of them in one call."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.finance_sentiment.inference.linking import TaggedSpan
from apps.finance_sentiment.inference.reading import Reading
from rootstock.modelhub.inference import (
    ModelUnusable,
    NoDeployment,
    Prediction,
    Target,
    ask,
    classify,
    resolve,
)

logger = logging.getLogger(__name__)

SENTIMENT = "finance.sentiment"
TOPIC = "finance.topic"
EVENT = "finance.event"
NER = "finance.ner"
ENTITY_SENTIMENT = "finance.entity_sentiment"
# What is asked of a whole text; a text without the first is not scored.
CLASSIFIERS = (SENTIMENT, TOPIC, EVENT)
# What is asked about places in a text.
SPAN_MODELS = (NER, ENTITY_SENTIMENT)
# What predictions about a document are logged under.
SUBJECT = "finance.document"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SpanSentiment:
    """How a text speaks of one of its places, and how probable that is."""

    label: str
    probability: float


@dataclass(slots=True)
class Answers:
    """What the models say, by place in the list of texts: predictions by deployment, tagged spans, and the sentiment
    of the spans that were asked about."""

    predictions: dict[str, dict[int, Prediction]] = field(default_factory=dict)
    tagged: dict[int, list[TaggedSpan]] = field(default_factory=dict)
    sentiments: dict[int, dict[Span, SpanSentiment]] = field(default_factory=dict)


def targets_resolve() -> dict[str, Target]:
    """What answers each question at this moment; a name that is not deployed is absent."""
    targets: dict[str, Target] = {}
    for name in (*CLASSIFIERS, *SPAN_MODELS):
        try:
            targets.update(resolve([name]))
        except NoDeployment:
            continue
    return targets


def classify_batch(
    targets: Mapping[str, Target], texts: Sequence[Reading], spans: Sequence[Sequence[Span]] = ()
) -> Answers:
    """All questions about all texts in one call; only of texts the model of each question can read.

    ``spans`` are the places of each text whose sentiment is asked. A model for places that cannot be used
    is left out: the documents are scored without it.

    Raises:
        InferenceUnavailable, ModelUnusable: nobody answers for the texts as a whole.
    """
    wanted = {
        name: [
            place
            for place, reading in enumerate(texts)
            if reading.has_words and reading.language in target.languages
        ]
        for name, target in targets.items()
    }
    if ENTITY_SENTIMENT in wanted:
        wanted[ENTITY_SENTIMENT] = [
            place for place in wanted[ENTITY_SENTIMENT] if place < len(spans) and spans[place]
        ]
    requests = {
        name: [texts[place].text for place in places]
        for name, places in wanted.items()
        if name not in SPAN_MODELS
    }
    rows: dict[str, list[Any]] = {
        name: [_row(name, texts[place], spans[place] if spans else ()) for place in places]
        for name, places in wanted.items()
        if name in SPAN_MODELS and places
    }
    try:
        results, outputs = (
            ask(targets, requests, rows) if rows else (classify(targets, requests), {})
        )
    except ModelUnusable as error:
        if not rows:
            raise
        logger.warning("documents are scored without models for places: %s", error)
        results, outputs = classify(targets, requests), {}
    return Answers(
        predictions={
            name: dict(zip(wanted[name], results[name].predictions, strict=True))
            for name in requests
        },
        tagged={
            place: _tagged(output)
            for place, output in zip(wanted.get(NER, ()), outputs.get(NER, ()), strict=False)
        },
        sentiments={
            place: _sentiments(output)
            for place, output in zip(
                wanted.get(ENTITY_SENTIMENT, ()), outputs.get(ENTITY_SENTIMENT, ()), strict=False
            )
        },
    )


def _row(name: str, reading: Reading, spans: Sequence[Span]) -> Any:
    if name == NER:
        return reading.text
    return {"text": reading.text, "spans": [list(span) for span in spans]}


def _tagged(output: Mapping[str, Any]) -> list[TaggedSpan]:
    return [
        TaggedSpan(each["start"], each["end"], each["label"], each["score"])
        for each in output["entities"]
    ]


def _sentiments(output: Mapping[str, Any]) -> dict[Span, SpanSentiment]:
    return {
        (each["start"], each["end"]): SpanSentiment(
            each["label"], round(each["probabilities"][each["label"]], 4)
        )
        for each in output["spans"]
    }
