"""Why a document, or what it says of somebody, was judged so: asked of the deployed model when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.finance_sentiment.inference import (
    ENTITY_SENTIMENT,
    SENTIMENT,
    Target,
    targets_resolve,
    text_reading,
)
from apps.finance_sentiment.inference.explaining import Attribution, explain_span, explain_text
from apps.finance_sentiment.models import Document, Mention


class NotExplained(ValueError):
    """There is nothing to explain; the message says why."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What each word of `text` does for `label`, which the model gives with `probability`."""

    deployment: str
    version: str
    text: str
    label: str
    probability: float
    words: list[Attribution]

    def as_json(self) -> dict[str, Any]:
        """The explanation with the words themselves."""
        return {
            "deployment": self.deployment,
            "version": self.version,
            "text": self.text,
            "label": self.label,
            "probability": round(self.probability, 4),
            "words": [
                {
                    "start": word.start,
                    "end": word.end,
                    "text": self.text[word.start : word.end],
                    "weight": word.weight,
                }
                for word in self.words
            ],
        }


def document_explain(document: Document) -> Callable[[], Explanation]:
    """How to explain a document's sentiment. The rows are read now, the model is asked when it is called.

    Raises:
        NotExplained: the document has no sentiment, or no model reads it.
        InferenceUnavailable, ModelUnusable: the call itself.
    """
    if document.status != Document.Status.SCORED:
        raise NotExplained(_("The document has no sentiment."))
    target = _target(targets_resolve(), SENTIMENT, document)
    text = text_reading(document.title, document.body, document.language_detected).text
    return lambda: _explanation(
        target, text, explain_text(target, text, _label(target, document.sentiment))
    )


def mention_explain(mention: Mention) -> Callable[[], Explanation]:
    """The same of what a document says of somebody; where no model reads places, of the whole document."""
    document = mention.document
    targets = targets_resolve()
    if mention.basis != Mention.Basis.ENTITY_MODEL or ENTITY_SENTIMENT not in targets:
        return document_explain(document)
    target = _target(targets, ENTITY_SENTIMENT, document)
    reading = text_reading(document.title, document.body, document.language_detected)
    span = reading.read((mention.start, mention.end))
    if span is None:
        raise NotExplained(_("The model does not read so far into the text."))
    return lambda: _explanation(
        target,
        reading.text,
        explain_span(target, reading.text, span, _label(target, mention.sentiment)),
    )


def _target(targets: Mapping[str, Target], name: str, document: Document) -> Target:
    target = targets.get(name)
    if target is None:
        raise NotExplained(_("No model is deployed for this question."))
    if document.language_detected not in target.languages:
        raise NotExplained(_("The deployed model does not read this language."))
    return target


def _explanation(
    target: Target, text: str, found: tuple[str, float, list[Attribution]]
) -> Explanation:
    label, probability, words = found
    return Explanation(target.name, target.version_label, text, label, probability, words)


def _label(target: Target, label: str) -> str:
    """The label to explain; one that the present model does not have is not asked about."""
    return label if label in target.labels else ""
