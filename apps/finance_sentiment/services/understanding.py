"""What a batch of documents is about: sentiment, topics, event, and who is spoken of, from one call to the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apps.finance_sentiment.inference import (
    EVENT,
    SENTIMENT,
    TOPIC,
    Answers,
    Link,
    Prediction,
    Reading,
    Target,
    classify_batch,
)
from apps.finance_sentiment.services.references import references_make
from apps.finance_sentiment.services.results import Outcome, models_used
from apps.finance_sentiment.services.vocabulary import Known, events_index

# A second topic needs this probability; the most probable one is always kept.
SECOND_TOPIC = 0.35
# More topics than these say nothing about a text any more.
MOST_TOPICS = 5
# Labels by which an event model says that nothing of its kinds happened.
_NO_EVENT = frozenset({"none", "other", "no-event"})

_Key = tuple[bytes, str]


def outcomes_understand(
    outcomes: Sequence[Outcome], targets: Mapping[str, Target], known: Known
) -> None:
    """One call for all texts and all models; equal texts are asked once.

    Raises:
        InferenceUnavailable, ModelUnusable.
    """
    first: dict[_Key, int] = {}
    asked: list[Reading] = []
    links: list[list[Link]] = []
    for outcome in outcomes:
        if _key(outcome) not in first:
            first[_key(outcome)] = len(asked)
            asked.append(outcome.reading)
            links.append(
                known.linker.link(outcome.reading.text, on=outcome.document.published_at.date())
            )
    spans = [[(link.start, link.end) for link in some] for some in links]
    answers = classify_batch(targets, asked, spans) if asked else Answers()
    for outcome in outcomes:
        place = first[_key(outcome)]
        outcome.predictions = {
            name: by_place[place]
            for name, by_place in answers.predictions.items()
            if place in by_place
        }
        sentiment = outcome.predictions[SENTIMENT]
        outcome.sentiment = sentiment.label
        outcome.sentiment_probabilities = _rounded(sentiment)
        topic = outcome.predictions.get(TOPIC)
        if topic is not None:
            outcome.topic_probabilities = _rounded(topic)
            outcome.topics = _topics(topic)
        event = outcome.predictions.get(EVENT)
        if event is not None and event.label not in _NO_EVENT and event.in_scope is not False:
            outcome.event = event.label
        outcome.models_used = models_used(targets, outcome.reading.language, outcome.predictions)
        words_read(outcome, known)
        outcome_link(outcome, answers, place, known)


def words_read(outcome: Outcome, known: Known) -> None:
    """Add what words tell: topics that no model was trained for, and the event where no model is asked for it.

    A topic that is not in use is taken away, whoever gave it.
    """
    text = outcome.reading.text
    learned = set(outcome.topic_probabilities or ())
    # Of a text whose scores were taken over, the words are read again.
    topics = [topic for topic in outcome.topics if topic in learned]
    topics += [topic for topic in known.topics.find(text) if topic not in learned]
    topics = [topic for topic in dict.fromkeys(topics) if topic not in known.retired]
    outcome.topics = topics[:MOST_TOPICS]
    if not any(used["deployment"] == EVENT for used in outcome.models_used):
        outcome.event = next(iter(events_index().find(text)), "")


def outcome_link(outcome: Outcome, answers: Answers, place: int, known: Known) -> None:
    """Find the mentions of a text; what a tagger saw speaks for a name, and is a mention where no name is known."""
    tagged = answers.tagged.get(place, [])
    probabilities = outcome.sentiment_probabilities or {}
    outcome.references = references_make(
        reading=outcome.reading,
        links=known.linker.link(
            outcome.reading.text, on=outcome.document.published_at.date(), tagged=tagged
        ),
        tagged=tagged,
        sentiments=answers.sentiments.get(place, {}),
        document_sentiment=outcome.sentiment,
        document_probability=probabilities.get(outcome.sentiment),
        kinds=known.kinds,
    )


def _key(outcome: Outcome) -> _Key:
    return outcome.reading.content_hash, outcome.reading.language


def _topics(prediction: Prediction) -> list[str]:
    """The most probable topic, then others that are probable enough in alphabetical order."""
    others = sorted(
        label
        for label, probability in prediction.probabilities.items()
        if label != prediction.label and probability >= SECOND_TOPIC
    )
    return [prediction.label, *others]


def _rounded(prediction: Prediction) -> dict[str, float]:
    return {label: round(value, 4) for label, value in prediction.probabilities.items()}
