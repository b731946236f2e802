"""What a customer wants and how they feel, as the deployed models say it: both in one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apps.customer_service.models import Emotion
from rootstock.modelhub.inference import (
    DeploymentResult,
    InferenceUnavailable,
    ModelUnusable,
    NoDeployment,
    Prediction,
    Target,
    classify,
    resolve,
)

__all__ = [
    "EMOTION",
    "INTENT",
    "DeploymentResult",
    "Target",
    "Understanding",
    "emotion_of",
    "targets_resolve",
    "understand",
]

INTENT = "service.intent"
EMOTION = "service.emotion"

# What public emotion data sets call what we tell apart: GoEmotions in Ekman's groups, SMP2020, MELD, CPED.
_FEELING_TEXT = {
    Emotion.ANGER: """
        anger angry annoyance annoyed disgust frustration frustrated disapproval hate 愤怒 生气 厌恶
    """,
    Emotion.SADNESS: """
        sadness sad fear worried grief disappointment depress nervousness embarrassment remorse 悲伤 伤心 恐惧 失望
    """,
    Emotion.JOY: """
        joy happy happiness love gratitude excitement admiration positive-other grateful relaxed amusement approval
        caring desire optimism pride relief 高兴 快乐 喜悦
    """,
    # Surprise is neither good nor bad by itself.
    Emotion.NEUTRAL: "neutral surprise surprised confusion curiosity realization 中性 平静 惊讶",
}
_FEELINGS = {name: frozenset(text.split()) for name, text in _FEELING_TEXT.items()}


@dataclass
class Understanding:
    """What the models say of one message.

    `intent` with its calibrated `probability`; empty without a model that reads the language. `in_scope`: whether the
    intent model was made for such a text; None where it cannot tell. `emotions`: the probability of each `Emotion`.
    `versions`: who said it. `absent`: why there is nothing of a deployment. `results`: for the prediction log.
    """

    intent: str = ""
    probability: float = 0.0
    in_scope: bool | None = None
    emotions: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    results: list[DeploymentResult] = field(default_factory=list)

    @property
    def emotion(self) -> str:
        """The most probable `Emotion`; empty where nothing is known."""
        return max(self.emotions, key=lambda name: self.emotions[name]) if self.emotions else ""

    def as_json(self) -> dict[str, Any]:
        """For the trace."""
        told: dict[str, Any] = {}
        if self.intent:
            told["intent"] = self.intent
            told["probability"] = round(self.probability, 4)
            told["in_scope"] = self.in_scope
        if self.emotions:
            told["emotion"] = self.emotion
            told["emotions"] = {name: round(share, 4) for name, share in self.emotions.items()}
        if self.versions:
            told["versions"] = self.versions
        if self.absent:
            told["absent"] = self.absent
        return told


def targets_resolve() -> dict[str, Target]:
    """Which versions answer for intent and emotion at this moment; what is not deployed is absent. Inside a scope."""
    targets: dict[str, Target] = {}
    for name in (INTENT, EMOTION):
        try:
            targets.update(resolve([name]))
        except NoDeployment:
            continue
    return targets


def understand(targets: dict[str, Target], text: str, language: str) -> Understanding:
    """What the deployed models say to a masked text, in one call to the inference process. Outside a scope.

    A model that is absent, cannot read the language or does not answer is skipped and said to be: an answer is worth
    more than knowing the mood.
    """
    found = Understanding()
    asked: dict[str, list[str]] = {}
    for name in (INTENT, EMOTION):
        target = targets.get(name)
        if target is None:
            found.absent[name] = "not deployed"
        elif target.languages and language not in target.languages:
            found.absent[name] = f"does not read {language}"
        else:
            asked[name] = [text]
    if not asked:
        return found
    try:
        answers = classify({name: targets[name] for name in asked}, asked)
    except (InferenceUnavailable, ModelUnusable) as error:
        found.absent.update(dict.fromkeys(asked, f"{type(error).__name__}: {error}"[:200]))
        return found
    for name, result in answers.items():
        [said] = result.predictions
        found.versions[name] = result.version_label
        found.results.append(result)
        if name == INTENT:
            found.intent, found.probability = said.label, said.confidence
            found.in_scope = said.in_scope
        else:
            found.emotions = _feelings(said)
    return found


def emotion_of(label: str) -> Emotion | None:
    """Which of our four a label of a data set means; None where it is none that is known."""
    plain = label.strip().casefold()
    return next((name for name, words in _FEELINGS.items() if plain in words), None)


def _feelings(said: Prediction) -> dict[str, float]:
    """Probabilities of our four from the model's own labels; what is none of them counts as neutral."""
    shares = dict.fromkeys(map(str, Emotion.values), 0.0)
    for label, probability in said.probabilities.items():
        shares[str(emotion_of(label) or Emotion.NEUTRAL)] += probability
    return shares
