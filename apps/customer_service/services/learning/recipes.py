"""How the models of customer service are trained on the organisation's own rows: which rows, with which options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.customer_service.inference.understanding import EMOTION, INTENT
from apps.customer_service.services.learning import candidates, model_rows
from rootstock.common.actors import Actor
from rootstock.modelhub.models import Dataset
from rootstock.modelhub.services import AddResult, dataset_create
from rootstock.modelhub.services.sources import source_pull
from rootstock.modelhub.sources import RowSource, SourceRow

# "mixed": all rows, whatever their language.
LANGUAGES: Final = {
    "en": gettext_noop("English"),
    "zh": gettext_noop("Chinese"),
    "mixed": gettext_noop("English and Chinese"),
}


@dataclass(frozen=True)
class Recipe:
    """How one model is taught. `model` is the name of its versions and of the deployment that the assistant asks."""

    model: str
    title: str
    description: str
    sources: tuple[RowSource, ...]
    # Options of ml_core.training.TrainConfig.
    config: Mapping[str, Any] = field(default_factory=dict)


# A head that is fitted before the first step knows rare intents from a handful of questions; with R-Drop and averaged
# weights the benchmark of training is reached.
RECIPES: Final = {
    INTENT: Recipe(
        INTENT,
        gettext_noop("Customer service: intents"),
        gettext_noop("Which prepared answer a question asks for."),
        (model_rows.ANSWERS, candidates.OUTCOMES, model_rows.QUESTIONS),
        {
            "head_start": "fitted",
            "epochs": 6,
            "r_drop": 1.0,
            "weight_averaging": "ema",
            "max_length": 64,
            "out_of_scope_score": "combined",
        },
    ),
    EMOTION: Recipe(
        EMOTION,
        gettext_noop("Customer service: emotions"),
        gettext_noop("How customers feel: anger, sadness, joy or neutral."),
        (model_rows.FEELINGS,),
        {"head_start": "fitted", "epochs": 4, "max_length": 96},
    ),
}


def recipe_dataset(
    *, recipe: Recipe, actor: Actor, language: str = "mixed"
) -> tuple[Dataset, AddResult]:
    """The data set of a recipe and a language, made on first use, with what is new among the organisation's rows."""
    name = f"{_(recipe.title)} ({_(LANGUAGES[language])})"
    dataset = Dataset.objects.filter(name=name).first() or dataset_create(
        name=name, actor=actor, language=language, description=_(recipe.description)
    )
    total = AddResult()
    for source in recipe.sources:
        added = source_pull(dataset=dataset, source=_only(source, language), actor=actor)
        total.added += added.added
        total.duplicates += added.duplicates
        total.refused += added.refused
    return dataset, total


def _only(source: RowSource, language: str) -> RowSource:
    """The same source with the rows of one language."""
    if language == "mixed":
        return source

    def rows(task: str, cursor: str) -> Iterator[SourceRow]:
        return (row for row in source.rows(task, cursor) if row.metadata["language"] == language)

    return replace(source, rows=rows)
