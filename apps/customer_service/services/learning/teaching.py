"""The steps by which a model learns from what people did, each by the model hub's own services.

collect: rows of the application go into the data set. label: people are asked about those without a label. train: a
snapshot, and a run on it. check: the gate. deploy: the assistant asks the new version from then on.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.customer_service.inference.understanding import EMOTION, INTENT
from apps.customer_service.models import Emotion
from apps.customer_service.selectors.teaching import (
    lesson_dataset,
    lesson_queue,
    lesson_run,
    lesson_version,
)
from apps.customer_service.services.answers import draft_answers
from apps.customer_service.services.learning import candidates
from apps.customer_service.services.learning.recipes import RECIPES, Recipe, recipe_dataset
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job
from rootstock.modelhub.inference import base_languages
from rootstock.modelhub.models import (
    AnnotationQueue,
    Dataset,
    DatasetExample,
    Deployment,
    TrainingRun,
)
from rootstock.modelhub.services import (
    AddResult,
    example_answer,
    gate_start,
    snapshot_create,
    training_start,
    version_promote,
)
from rootstock.modelhub.services.annotation import MAX_CHOICES, queue_create
from rootstock.modelhub.services.examples import uncertainties_set
from rootstock.modelhub.sources import SourceRow

STEPS: Final = ("collect", "label", "train", "check", "deploy")
# Rows that validation and the gate get at most, each: hundreds decide, thousands are better learned from.
_JUDGED_ROWS: Final = 500


def recipe_get(model: str) -> Recipe:
    """How the model of this name is taught.

    Raises:
        Http404: none of that name is.
    """
    recipe = RECIPES.get(model)
    if recipe is None:
        raise Http404("no such model")
    return recipe


def lesson_collect(*, recipe: Recipe, actor: Actor) -> AddResult:
    """Take what is new among the organisation's rows into the data set, which is made on first use.

    What people's verdicts say of a row that was there without a label becomes its label.
    """
    dataset = lesson_dataset(recipe)
    language = dataset.language if dataset is not None else _language()
    passed: list[SourceRow] = []

    def noted(task: str, cursor: str) -> Iterator[SourceRow]:
        for row in candidates.OUTCOMES.rows(task, cursor):
            passed.append(row)
            yield row

    watched = replace(candidates.OUTCOMES, rows=noted)
    sources = tuple(
        watched if source is candidates.OUTCOMES else source for source in recipe.sources
    )
    dataset, result = recipe_dataset(
        recipe=replace(recipe, sources=sources), actor=actor, language=language
    )
    _verdicts_apply(dataset, passed, actor)
    return result


def lesson_label(*, recipe: Recipe, actor: Actor) -> AnnotationQueue:
    """The queue in which people are asked about rows without a label, the most doubtful first; made on first use.

    Raises:
        Problem: 409, nothing has been collected.
    """
    dataset = _collected(recipe)
    queue = lesson_queue(dataset)
    if queue is not None:
        return queue
    deployed = Deployment.objects.filter(name=recipe.model).exists()
    return queue_create(
        dataset=dataset,
        actor=actor,
        name=_("Customer service"),
        instructions=_(_INSTRUCTIONS[recipe.model]),
        order=AnnotationQueue.Order.UNCERTAINTY,
        choices=_CHOICES[recipe.model](),
        deployment=recipe.model if deployed else "",
    )


def lesson_train(*, recipe: Recipe, actor: Actor, queue_job: bool = True) -> TrainingRun:
    """Freeze the data set and train on it with the recipe's options; without `queue_job` the caller does the training.

    Raises:
        Problem: 409, nothing has been collected, or a run is under way; 422, there are too few labelled rows.
    """
    dataset = _collected(recipe)
    run = lesson_run(recipe)
    if run is not None and not run.ended:
        raise Problem(409, "run-under-way", _("It is being trained already."))
    labelled = DatasetExample.objects.filter(dataset=dataset, labelled=True)
    judged = min(0.1, _JUDGED_ROWS / max(labelled.count(), 1))
    return training_start(
        snapshot=snapshot_create(
            dataset=dataset, actor=actor, validation_fraction=judged, test_fraction=judged
        ),
        name=recipe.model,
        actor=actor,
        config={**recipe.config, "languages": _languages(labelled)},
        queue_job=queue_job,
    )


def lesson_check(*, recipe: Recipe, actor: Actor) -> Job:
    """Ask the gate whether the newest version may take the deployed one's place.

    Raises:
        Problem: 409, there is no version, or the gate is being asked already.
    """
    version = lesson_version(recipe)
    if version is None:
        raise Problem(409, "no-version", _("There is no version yet. Train one first."))
    return gate_start(version=version, deployment=recipe.model, actor=actor)


def lesson_deploy(*, recipe: Recipe, actor: Actor) -> Deployment:
    """Let the assistant ask the newest version.

    Raises:
        Problem: 409, there is no version, it is deployed already, or the gate refuses it, with the evidence.
    """
    version = lesson_version(recipe)
    if version is None:
        raise Problem(409, "no-version", _("There is no version yet. Train one first."))
    return version_promote(version=version, actor=actor, deployment=recipe.model)


LESSON_STEPS: Final[Mapping[str, Callable[..., Any]]] = {
    "collect": lesson_collect,
    "label": lesson_label,
    "train": lesson_train,
    "check": lesson_check,
    "deploy": lesson_deploy,
}


def _verdicts_apply(dataset: Dataset, rows: list[SourceRow], actor: Actor) -> None:
    """What is known of rows that were in the data set before: a label where they had none, else who is asked first."""
    doubtful: dict[uuid.UUID | str, float] = {}
    for row in rows:
        open_examples = DatasetExample.objects.filter(
            dataset=dataset, labelled=False, text=row.content["text"]
        )
        for example in open_examples:
            if "label" in row.content:
                example_answer(example=example, answer={"label": row.content["label"]}, actor=actor)
            elif row.uncertainty is not None:
                doubtful[example.pk] = row.uncertainty
    uncertainties_set(dataset=dataset, scores=doubtful)


def _collected(recipe: Recipe) -> Dataset:
    dataset = lesson_dataset(recipe)
    if dataset is None:
        raise Problem(409, "nothing-collected", _("Collect rows first."))
    return dataset


def _languages(rows: QuerySet[DatasetExample]) -> list[str]:
    """Those that the rows are written in: what reads English alone reads it better than what reads both."""
    written = set(rows.values_list("metadata__language", flat=True).distinct())
    return [language for language in ("en", "zh") if language in written] or ["en"]


def _language() -> str:
    """Of a new data set: all that a base of the installation reads."""
    languages = base_languages()
    return "mixed" if len(languages) > 1 else languages[0]


def _intents() -> list[str]:
    """Those of the prepared answers; any, where there are more than a queue can offer."""
    intents = sorted(draft_answers().values_list("intent", flat=True))
    return intents if len(intents) <= MAX_CHOICES else []


_INSTRUCTIONS: Final = {
    INTENT: gettext_noop(
        "Choose the prepared answer that you would give. Skip what none of them answers, and what cannot be "
        "understood by itself."
    ),
    EMOTION: gettext_noop(
        "Choose how the customer feels as they write this, not what they write about."
    ),
}
_CHOICES: Final[Mapping[str, Callable[[], list[str]]]] = {
    INTENT: _intents,
    EMOTION: lambda: [str(value) for value in Emotion.values],
}
