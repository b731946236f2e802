"""The installation of the load measurement: an organisation, its companies, and five heads on one encoder.

`python -m bench.finance.load_setup` runs in the environment of the installation.
"""

from __future__ import annotations

import csv
from typing import Any

import django

from bench.training.data import data_directory

django.setup()

from apps.finance_sentiment.demo.composer import company_names  # noqa: E402
from apps.finance_sentiment.demo.headlines import Headline, load_headlines  # noqa: E402
from apps.finance_sentiment.demo.mentions import Mentions, mentions_of  # noqa: E402
from apps.finance_sentiment.demo.setup import account_setup, organisation_setup  # noqa: E402
from apps.finance_sentiment.inference import (  # noqa: E402
    ENTITY_SENTIMENT,
    EVENT,
    NER,
    SENTIMENT,
    TOPIC,
    surge_defaults,
)
from apps.finance_sentiment.models import Rule  # noqa: E402
from apps.finance_sentiment.services.entities import entities_take, entity_parse  # noqa: E402
from apps.finance_sentiment.services.rules import rule_update, rules_get_or_create  # noqa: E402
from apps.finance_sentiment.taxonomy import event_kinds  # noqa: E402
from ml_core.models.words import split_words  # noqa: E402
from rootstock.common.actors import SYSTEM  # noqa: E402
from rootstock.modelhub.first_models import first_model_deploy, first_models_train  # noqa: E402
from rootstock.modelhub.inference import base_languages  # noqa: E402
from rootstock.modelhub.models import Dataset, Deployment, Task  # noqa: E402
from rootstock.modelhub.services import NewExample, dataset_create, examples_add  # noqa: E402
from rootstock.tenancy.models import Organisation  # noqa: E402
from rootstock.tenancy.scope import organisation_scope  # noqa: E402

# What is measured is the way, not how right the answers are: one epoch.
TRAINING = {"head_start": "fitted", "epochs": 1, "batch_size": 16, "max_length": 128}
_BATCH = 500
_TASKS = {
    SENTIMENT: Task.TEXT_CLASSIFICATION,
    TOPIC: Task.TEXT_CLASSIFICATION,
    EVENT: Task.TEXT_CLASSIFICATION,
    NER: Task.TOKEN_CLASSIFICATION,
    ENTITY_SENTIMENT: Task.SPAN_CLASSIFICATION,
}


def main() -> None:
    """Everything, once."""
    organisation = organisation_setup(print)
    account_setup(organisation, print)
    companies_take(organisation)
    rule_fast(organisation)
    models_deploy(organisation)


def companies_take(organisation: Organisation) -> None:
    """The thousand companies of SEntFiN's list with all their names, and those of the demonstration."""
    rows: list[dict[str, Any]] = [
        {"name": name} for language in ("en", "zh") for name in company_names(language)
    ]
    with (data_directory() / "sentfin/entity_list_comprehensive.csv").open(
        encoding="utf-8"
    ) as file:
        for line in csv.DictReader(file):
            name, *others = [part.strip() for part in line["Entity"].split(",") if part.strip()]
            rows.append({"key": line["Symbol"], "name": name, "aliases": others})
    for start in range(0, len(rows), _BATCH):
        with organisation_scope(organisation.pk):
            entities_take(
                entities=[entity_parse(row) for row in rows[start : start + _BATCH]], actor=SYSTEM
            )


def rule_fast(organisation: Organisation) -> None:
    """The first rule judges buckets of five seconds."""
    seconds = int(Rule.Bucket.FIVE_SECONDS)
    with organisation_scope(organisation.pk):
        rule = rules_get_or_create()[0]
        rule_update(
            rule=rule,
            actor=SYSTEM,
            values={"bucket_seconds": seconds, **surge_defaults(seconds, rule.detector)},
        )


def models_deploy(organisation: Organisation) -> None:
    """Five heads, trained together on the demonstration's headlines."""
    with organisation_scope(organisation.pk):
        if Deployment.objects.filter(name=SENTIMENT).exists():
            return
        heads = {name: _dataset(name, examples) for name, examples in _examples().items()}
    config = {**TRAINING, "languages": list(base_languages())}
    versions = first_models_train(
        organisation=organisation, heads=heads, config=config, write=print
    )
    for version in versions:
        first_model_deploy(organisation=organisation, version=version, reason="The bench's model")


def _dataset(name: str, examples: list[NewExample]) -> Dataset:
    dataset = dataset_create(name=name, task=_TASKS[name], actor=SYSTEM, language="mixed")
    examples_add(dataset=dataset, examples=examples, actor=SYSTEM, source="bench")
    return dataset


def _examples() -> dict[str, list[NewExample]]:
    headlines = load_headlines()
    mentions = mentions_of(headlines)
    return {
        SENTIMENT: [NewExample(each.text, each.label) for each in headlines],
        TOPIC: [NewExample(each.text, each.topic) for each in headlines],
        EVENT: _events(headlines),
        NER: [NewExample(content=_tagged(each)) for each in mentions],
        ENTITY_SENTIMENT: [
            NewExample(content={"text": each.text, "spans": each.spans, "labels": each.labels})
            for each in mentions
        ],
    }


def _events(headlines: list[Headline]) -> list[NewExample]:
    """Sentences with the words of each kind of event, and headlines in which nothing happens."""
    rows = [NewExample(each.text, "none") for each in headlines[::3]]
    for kind in event_kinds():
        for number, term in enumerate(kind.terms):
            names = company_names("en" if term.isascii() else "zh")
            rows.append(NewExample(f"{names[number % len(names)]} {term.rstrip('*')}", kind.slug))
    return list({row.text: row for row in rows}.values())


def _tagged(mentions: Mentions) -> dict[str, list[str]]:
    words = split_words(mentions.text)
    tags = ["O"] * len(words)
    for start, end in mentions.spans:
        inside = [at for at, word in enumerate(words) if word.start < end and word.end > start]
        for number, at in enumerate(inside):
            tags[at] = f"{'I' if number else 'B'}-company"
    return {"tokens": [word.text for word in words], "tags": tags}


if __name__ == "__main__":
    main()
