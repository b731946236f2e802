"""What `manage.py demo_setup` makes, step by step; each step is skipped when its result is there."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from apps.finance_sentiment.demo.headlines import Headline, load_headlines
from apps.finance_sentiment.demo.stream import DemoDocument, DemoStream
from apps.finance_sentiment.inference import SENTIMENT, TOPIC, surge_defaults
from apps.finance_sentiment.models import Document, SurgeRule
from apps.finance_sentiment.services.intake import IncomingDocument, documents_upsert
from apps.finance_sentiment.services.rules import rule_get_or_create, rule_update
from rootstock.accounts.authentication import KeyRefused, key_find
from rootstock.accounts.models import User
from rootstock.accounts.services import api_key_create, organisation_create, password_set
from rootstock.common.actors import SYSTEM
from rootstock.modelhub.first_models import first_model_deploy, first_model_train
from rootstock.modelhub.inference import base_languages
from rootstock.modelhub.models import Dataset, Deployment, ModelVersion
from rootstock.modelhub.services import (
    NewExample,
    dataset_create,
    examples_add,
)
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
            for language, language_name in LANGUAGES.items():
                name = f"{title} ({language_name})"
                if Dataset.objects.filter(name=name).exists():
                    continue
                dataset = dataset_create(
                    name=name,
                    actor=SYSTEM,
                    language=language,
                    description="Headlines of invented companies, written for this demonstration.",
                )
                examples_add(
                    dataset=dataset,
                    examples=[
                        NewExample(headline.text, label(headline))
                        for headline in headlines
                        if language in (headline.language, "mixed")
                    ],
                    actor=SYSTEM,
                    source="demo",
                )
                write(f"data set {name} filled")


def models_setup(organisation: Organisation, write: Write) -> None:
    """Two classifiers, trained on the headlines and deployed.

    They learn both languages where the installation has a base that reads Chinese. Where it has only the packaged one
    they learn English, and Chinese headlines wait, unscored: once there is such a base, this trains anew and they are
    scored.
    """
    languages = base_languages()
    for deployment in _QUESTIONS:
        with organisation_scope(organisation.pk):
            deployed = Deployment.objects.select_related("version").filter(name=deployment).first()
            if deployed is not None and set(languages) <= set(deployed.version.languages):
                continue
            version = (
                ModelVersion.objects.filter(name=deployment, languages__contains=list(languages))
                .order_by("-number")
                .first()
            )
        if version is None:
            version = _train(organisation, deployment, languages, write)
        # A few hundred headlines make no perfect model, and one that reads two languages cannot be compared with one of
        # English: the demonstration goes on.
        first_model_deploy(
            organisation=organisation,
            version=version,
            reason=(
                "The demonstration's first model"
                if deployed is None
                else "It reads the Chinese headlines as well"
            ),
        )
        write(f"{version.label} deployed")


def _train(
    organisation: Organisation, name: str, languages: Sequence[str], write: Write
) -> ModelVersion:
    title, _label = _QUESTIONS[name]
    dataset = f"{title} ({LANGUAGES['mixed' if len(languages) > 1 else languages[0]]})"
    with organisation_scope(organisation.pk):
        rows = Dataset.objects.get(name=dataset)
    return first_model_train(
        organisation=organisation,
        dataset=rows,
        name=name,
        config={**TRAINING, "languages": list(languages)},
        write=write,
    )


def rule_setup(organisation: Organisation, write: Write) -> None:
    """A rule on the clock of a demonstration: surges of a minute are seen and end within minutes."""
    with organisation_scope(organisation.pk):
        rule = rule_get_or_create()
        if rule.updated_at > rule.created_at + timedelta(seconds=1):
            return
        if rule.bucket_seconds == SurgeRule.Bucket.FIVE_SECONDS:
            return
        seconds = int(SurgeRule.Bucket.FIVE_SECONDS)
        rule_update(
            rule=rule,
            actor=SYSTEM,
            values={"bucket_seconds": seconds, **surge_defaults(seconds)},
        )
        write("surge rule set")


def past_setup(organisation: Organisation, write: Write) -> None:
    """A day of documents; the worker scores them like any other."""
    with organisation_scope(organisation.pk):
        if Document.objects.exists():
            return
    end = timezone.now()
    documents = past_documents(end - PAST, end)
    count = 0
    while batch := list(islice(documents, 500)):
        with organisation_scope(organisation.pk):
            count += documents_upsert(documents=batch).created
    write(f"{count} documents of the last 24 hours stored")


def past_documents(start: datetime, end: datetime) -> Iterator[IncomingDocument]:
    """What the stream would have sent between two moments."""
    for document in takewhile(
        lambda document: document.published_at < end, PAST_STREAM.documents(start)
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
