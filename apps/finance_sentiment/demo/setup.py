"""What `manage.py demo_setup` makes, step by step; each step is skipped when its result is there."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, islice, takewhile
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from apps.finance_sentiment.demo.composer import company_names, trades
from apps.finance_sentiment.demo.headlines import Headline, load_headlines
from apps.finance_sentiment.demo.mentions import mentions_of
from apps.finance_sentiment.demo.stream import DemoDocument, DemoStream
from apps.finance_sentiment.inference import ENTITY_SENTIMENT, SENTIMENT, TOPIC, surge_defaults
from apps.finance_sentiment.models import Alias, Document, Entity, Rule
from apps.finance_sentiment.services.entities import (
    IncomingAlias,
    IncomingEntity,
    IncomingInstrument,
    entities_take,
)
from apps.finance_sentiment.services.intake import IncomingDocument, documents_upsert
from apps.finance_sentiment.services.rules import rule_update, rules_get_or_create
from rootstock.accounts.authentication import KeyRefused, key_find
from rootstock.accounts.models import User
from rootstock.accounts.services import api_key_create, organisation_create, password_set
from rootstock.common.actors import SYSTEM
from rootstock.modelhub.first_models import (
    first_model_deploy,
    first_model_train,
    first_models_train,
)
from rootstock.modelhub.inference import base_languages
from rootstock.modelhub.models import Dataset, Deployment, ModelVersion, Task
from rootstock.modelhub.services import (
    NewExample,
    dataset_create,
    examples_add,
)
from rootstock.modelhub.training_settings import settable_options
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

Write = Callable[[str], object]

SLUG = "acme-bank"
EMAIL = "demo@rootstock.example"
SCOPES = (Permission.FINANCE_READ, Permission.FINANCE_WRITE)
# Enough for a few hundred short headlines on two cores within a minute or two.
TRAINING = {"head_start": "fitted", "epochs": 3, "batch_size": 16, "max_length": 48}
# Data sets of the headlines, by language.
LANGUAGES = {"en": "English", "zh": "Chinese", "mixed": "English and Chinese"}
_QUESTIONS: dict[str, tuple[str, Callable[[Headline], str]]] = {
    SENTIMENT: ("Headlines: sentiment", lambda headline: headline.label),
    TOPIC: ("Headlines: topic", lambda headline: headline.topic),
}
_MENTIONS = "Companies in headlines: sentiment"
# What the data sets are called that a deployment's model learns from.
_DATA_SETS = {
    **{name: title for name, (title, _label) in _QUESTIONS.items()},
    ENTITY_SENTIMENT: _MENTIONS,
}
PAST = timedelta(hours=24)
# A day that a desk would have: quiet, with a bad hour now and then.
PAST_STREAM = DemoStream(
    seed=7,
    calm_rate=0.014,
    surge_rate=0.03,
    lead_in=5 * 3600,
    period=6 * 3600,
    rise=900,
    plateau=1200,
    fade=900,
)
WEEK = timedelta(days=7)
# Thinner, and calm: enough for a forecast by the hour.
WEEK_STREAM = replace(PAST_STREAM, seed=8, calm_rate=0.002, with_surges=False)


def account_path() -> Path:
    """Where the way in is written."""
    return Path(settings.VAR) / "demo.json"


def organisation_setup(write: Write) -> Organisation:
    """Acme Bank and its owner."""
    rows = call_lookup("organisation_by_slug", SLUG)
    if rows:
        with organisation_scope(rows[0]["id"]):
            return Organisation.objects.get(pk=rows[0]["id"])
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        user = User.objects.create_user(EMAIL, None, name="Demo")
    organisation = organisation_create(
        name="Acme Bank", owner=user, slug=SLUG, time_zone="Europe/London", language="en"
    )
    write("organisation Acme Bank made")
    return organisation


def account_setup(organisation: Organisation, write: Write) -> None:
    """A password and an API key that work, in `account_path()`, readable by its owner only."""
    path = account_path()
    account = json.loads(path.read_text()) if path.exists() else {}
    user = User.objects.get(email=EMAIL)
    if not user.check_password(account.get("password", "")):
        account["password"] = secrets.token_urlsafe(12)
        password_set(user=user, password=account["password"])
        write(f"password of {EMAIL} set")
    if not _key_works(account.get("api_key", "")):
        with organisation_scope(organisation.pk):
            _key, text = api_key_create(
                actor=SYSTEM, granted=frozenset(Permission), name="Demo stream", scopes=SCOPES
            )
        account["api_key"] = text
        write("API key made")
    account["email"] = EMAIL
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".part")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump(account, file)
    new.replace(path)


def _key_works(text: str) -> bool:
    from django.test import RequestFactory

    if not text:
        return False
    try:
        key_find(text, RequestFactory().get("/"))
    except KeyRefused:
        return False
    return True


def datasets_setup(organisation: Organisation, write: Write) -> None:
    """The labelled headlines as data sets: one for each question and language, and one of both languages."""
    headlines = load_headlines()
    with organisation_scope(organisation.pk):
        for title, label in _QUESTIONS.values():
            for language in LANGUAGES:
                rows = [
                    NewExample(headline.text, label(headline))
                    for headline in headlines
                    if language in (headline.language, "mixed")
                ]
                _dataset_fill(title, language, Task.TEXT_CLASSIFICATION, rows, write)
        mentions = mentions_of(headlines)
        for language in LANGUAGES:
            rows = [
                NewExample(content={"text": each.text, "spans": each.spans, "labels": each.labels})
                for each in mentions
                if language in (each.language, "mixed")
            ]
            _dataset_fill(_MENTIONS, language, Task.SPAN_CLASSIFICATION, rows, write)


def _dataset_fill(
    title: str, language: str, task: Task, rows: Sequence[NewExample], write: Write
) -> None:
    name = f"{title} ({LANGUAGES[language]})"
    if Dataset.objects.filter(name=name).exists():
        return
    dataset = dataset_create(
        name=name,
        task=task,
        actor=SYSTEM,
        language=language,
        description="Headlines of invented companies, written for this demonstration.",
    )
    examples_add(dataset=dataset, examples=rows, actor=SYSTEM, source="demo")
    write(f"data set {name} filled")


def models_setup(organisation: Organisation, write: Write) -> None:
    """Sentiment, topic and what is said of each company, learned from the headlines on one encoder and deployed.

    They learn both languages where the installation has a base that reads Chinese. Where it has only the packaged one
    they learn English, and Chinese headlines wait, unscored: once there is such a base, this trains anew and they are
    scored.
    """
    languages = base_languages()
    with organisation_scope(organisation.pk):
        slots = {
            slot.name: slot
            for slot in Deployment.objects.select_related("version").filter(name__in=_DATA_SETS)
        }
        wanted = [
            name
            for name in _DATA_SETS
            if name not in slots or not set(languages) <= set(slots[name].version.languages)
        ]
        versions = {name: _version(name, languages) for name in wanted}
    missing = [name for name, version in versions.items() if version is None]
    versions |= _train(organisation, missing, languages, write)
    for name, version in versions.items():
        if version is None:
            continue
        # A few hundred headlines make no perfect model, and one that reads two languages cannot be compared with one of
        # English: the demonstration goes on.
        first_model_deploy(
            organisation=organisation,
            version=version,
            reason=(
                "It reads the Chinese headlines as well"
                if name in slots
                else "The demonstration's first model"
            ),
        )
        write(f"{version.label} deployed")


def _version(name: str, languages: Sequence[str]) -> ModelVersion | None:
    """One that was trained before and is not deployed yet."""
    versions = ModelVersion.objects.filter(name=name, languages__contains=list(languages))
    return versions.order_by("-number").first()


def _train(
    organisation: Organisation, names: Sequence[str], languages: Sequence[str], write: Write
) -> dict[str, ModelVersion]:
    """Versions of all names; several are trained together, so that a headline is read once for all its questions."""
    language = LANGUAGES["mixed" if len(languages) > 1 else languages[0]]
    with organisation_scope(organisation.pk):
        heads = {
            name: Dataset.objects.get(name=f"{_DATA_SETS[name]} ({language})") for name in names
        }
    config = {**TRAINING, "languages": list(languages)}
    if len(heads) > 1:
        found = first_models_train(
            organisation=organisation, heads=heads, config=config, write=write
        )
        return dict(zip(heads, found, strict=True))
    for name, dataset in heads.items():
        fitting = {option.name for option in settable_options(dataset.task)}
        config = {option: value for option, value in config.items() if option in fitting}
        version = first_model_train(
            organisation=organisation, dataset=dataset, name=name, config=config, write=write
        )
        return {name: version}
    return {}


def rule_setup(organisation: Organisation, write: Write) -> None:
    """A rule on the clock of a demonstration: surges of a minute are seen and end within minutes."""
    seconds = int(Rule.Bucket.FIVE_SECONDS)
    with organisation_scope(organisation.pk):
        rule, *others = rules_get_or_create()
        is_changed = rule.updated_at > rule.created_at + timedelta(seconds=1)
        if others or is_changed or rule.bucket_seconds == seconds:
            return
        rule_update(
            rule=rule,
            actor=SYSTEM,
            values={"bucket_seconds": seconds, **surge_defaults(seconds, rule.detector)},
        )
        write("surge rule set")


def entities_setup(organisation: Organisation, write: Write) -> None:
    """The invented companies, so that headlines are linked to whom they name."""
    with organisation_scope(organisation.pk):
        if Entity.objects.exists():
            return
        report = entities_take(entities=[*_companies("en"), *_companies("zh")], actor=SYSTEM)
    write(f"{report.created} companies with {report.aliases} names stored")


def _companies(language: str) -> Iterator[IncomingEntity]:
    """A group of companies for each invented name: it is named by what a part of it trades in."""
    space = " " if language == "en" else ""
    for name in company_names(language):
        full = [f"{name}{space}{trade}" for trade in sorted(trades(language))]
        yield IncomingEntity(
            key=name.lower(),
            name=name,
            name_zh=name if language == "zh" else "",
            aliases=tuple(IncomingAlias(each, Alias.Kind.FULL, language, 0.0) for each in full),
            instruments=(
                (IncomingInstrument(name[:5].upper(), "DEMO"),) if language == "en" else ()
            ),
        )


def past_setup(organisation: Organisation, write: Write) -> None:
    """A week of documents, most of them of the last day; the worker scores them like any other."""
    with organisation_scope(organisation.pk):
        if Document.objects.exists():
            return
    end = timezone.now()
    documents = chain(
        past_documents(end - WEEK, end - PAST, WEEK_STREAM), past_documents(end - PAST, end)
    )
    count = 0
    while batch := list(islice(documents, 500)):
        with organisation_scope(organisation.pk):
            count += documents_upsert(documents=batch).created
    write(f"{count} documents of the last week stored")


def past_documents(
    start: datetime, end: datetime, stream: DemoStream = PAST_STREAM
) -> Iterator[IncomingDocument]:
    """What a stream would have sent between two moments."""
    for document in takewhile(
        lambda document: document.published_at < end, stream.documents(start)
    ):
        yield incoming(document)


def incoming(document: DemoDocument) -> IncomingDocument:
    """The document without what its writer meant by it."""
    return IncomingDocument(
        external_id=document.external_id,
        source=document.source,
        title=document.title,
        published_at=document.published_at,
        language=document.language,
    )
