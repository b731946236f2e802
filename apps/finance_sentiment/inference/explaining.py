"""Why a deployed model says what it says of a text or of a place in it."""

from __future__ import annotations

from ml_core.explaining import Attribution, occlude
from rootstock.modelhub.inference import Target, ask

__all__ = ["Attribution", "explain_span", "explain_text"]


def explain_text(
    target: Target, text: str, label: str = ""
) -> tuple[str, float, list[Attribution]]:
    """The label (the most probable one where none is named), its probability, and what each word does for it.

    One call; the model answers for the text without each of its words.

    Raises:
        InferenceUnavailable, ModelUnusable; KeyError for a label that the model does not know.
    """
    plan = occlude(text)
    results, _outputs = ask({target.name: target}, {target.name: [text, *plan.texts]}, {})
    whole, *without = results[target.name].predictions
    wanted = label or whole.label
    probabilities = [each.probabilities[wanted] for each in without]
    return (
        wanted,
        whole.probabilities[wanted],
        plan.attributions(whole.probabilities[wanted], probabilities),
    )


def explain_span(
    target: Target, text: str, span: tuple[int, int], label: str = ""
) -> tuple[str, float, list[Attribution]]:
    """The same of one place in a text, for a model that reads places."""
    plan = occlude(text, kept=span)
    rows = [
        {"text": each, "spans": [list(place)]}
        for each, place in zip([text, *plan.texts], [span, *plan.spans], strict=True)
    ]
    _results, outputs = ask({target.name: target}, {}, {target.name: rows})
    whole, *without = [output["spans"][0] for output in outputs[target.name]]
    wanted = label or whole["label"]
    return (
        wanted,
        whole["probabilities"][wanted],
        plan.attributions(
            whole["probabilities"][wanted], [each["probabilities"][wanted] for each in without]
        ),
    )
