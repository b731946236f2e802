"""What `manage.py demo_service_setup` makes, step by step; each step is skipped when its result is there.

The shop's answers and documents become the knowledge that visitors are answered from, its past dialogues come in by
the door that a customer's own would take, and both teach the assistant what is asked and how people feel.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any, Final

from django.db.models import F
from django.utils import timezone

from apps.customer_service.demo.content import (
    demo_answers,
    demo_desk,
    demo_documents,
    demo_questions,
)
from apps.customer_service.demo.dialogues import dialogue_rows
from apps.customer_service.demo.shop import KEY
from apps.customer_service.inference.understanding import EMOTION, INTENT
from apps.customer_service.models import (
    AgentProfile,
    Answer,
    CannedReply,
    Channel,
    Conversation,
    Document,
    EvaluationQuestion,
    MinedPair,
    Release,
)
from apps.customer_service.services.answering.questions import PEOPLE_ASKED
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.assignment import profile_get, profile_update
from apps.customer_service.services.evaluation import evaluation_start
from apps.customer_service.services.evaluation_questions import question_save
from apps.customer_service.services.learning.dialogue_files import row_lines
from apps.customer_service.services.learning.dialogue_imports import dialogues_import
from apps.customer_service.services.learning.mining import mining_job, mining_start
from apps.customer_service.services.learning.recipes import RECIPES, recipe_dataset
from apps.customer_service.services.lists import canned_save, label_save
from apps.customer_service.services.macros import macro_save
from apps.customer_service.services.releases import release_publish
from apps.customer_service.services.sources import file_add
from rootstock.accounts.models import User
from rootstock.common.actors import SYSTEM
from rootstock.modelhub.first_models import first_model_deploy, first_model_train
from rootstock.modelhub.inference import base_languages
from rootstock.modelhub.models import Deployment, ModelVersion
from rootstock.tenancy.models import Membership, Organisation, Role
from rootstock.tenancy.scope import organisation_scope

Write = Callable[[str], object]
READING_SECONDS: Final = 180.0
# How long customers of the past waited for a person.
HANDED: Final = timedelta(seconds=75)
# The last layer is fitted and the base stays as it is: seconds, and good enough to see how it works.
QUICK: Final = {"epochs": 0}


def knowledge_setup(organisation: Organisation, write: Write) -> None:
    """The shop's answers and documents, read by the workers and published."""
    with organisation_scope(organisation.pk):
        if Release.objects.exists():
            return
        known = set(Answer.objects.values_list("intent", flat=True))
        for each in demo_answers():
            if each.intent not in known:
                values = {
                    "intent": each.intent,
                    "title": each.title,
                    "bodies": each.bodies,
                    "questions": [text for texts in each.questions.values() for text in texts],
                }
                answer_save(values=values, actor=SYSTEM)
    write(f"{len(demo_answers())} prepared answers")
    for path in demo_documents():
        with organisation_scope(organisation.pk):
            file_add(name=path.name, data=path.read_bytes(), actor=SYSTEM)
    _documents_wait(organisation, write)
    with organisation_scope(organisation.pk):
        release = release_publish(actor=SYSTEM, comment="The shop opens")
    write(f"release {release.number} of the knowledge published")


def _documents_wait(organisation: Organisation, write: Write) -> None:
    """Until the workers have read all documents; what is late comes with the next release."""
    unread = (Document.State.WAITING, Document.State.READING)
    end = time.monotonic() + READING_SECONDS
    while time.monotonic() < end:
        with organisation_scope(organisation.pk):
            left = Document.objects.filter(state__in=unread).count()
        if not left:
            break
        write(f"{left} documents are still to be read")
        time.sleep(1.0)


def desk_setup(organisation: Organisation, write: Write) -> None:
    """Those who answer, with what they speak and know, and what they have at hand. Nobody can sign in as them."""
    with organisation_scope(organisation.pk):
        if CannedReply.objects.exists():
            return
        rows = demo_desk()
        for row in rows["people"]:
            profile_update(
                profile=_agent(row),
                capacity=row["capacity"],
                skills=row["skills"],
                actor=SYSTEM,
            )
        for row in rows["label"]:
            label_save(name=row["name"], colour=row["colour"], actor=SYSTEM)
        for row in rows["canned"]:
            bodies = {"en": row["en"], "zh": row["zh"]}
            canned_save(short=row["short"], bodies=bodies, actor=SYSTEM)
        for row in rows["macro"]:
            macro_save(name=row["name"], steps=row["steps"], actor=SYSTEM)
    write(f"{len(rows['people'])} agents and what they have at hand")


def _agent(row: dict[str, Any]) -> AgentProfile:
    user = User.objects.filter(email=row["email"]).first()
    if user is None:
        user = User.objects.create_user(row["email"], None, name=row["name"])
    member, _made = Membership.objects.get_or_create(user=user, defaults={"role": Role.AGENT})
    return profile_get(member)


def dialogues_setup(organisation: Organisation, write: Write) -> None:
    """Two months of past dialogues, up to now; afterwards they are as if they had been held here."""
    with organisation_scope(organisation.pk):
        known = Conversation.objects.filter(external_id__startswith="past-").exists()
    if not known:
        now = timezone.now()
        report = dialogues_import(
            organisation_id=organisation.pk,
            rows=(
                line
                for number, row in enumerate(dialogue_rows(now), start=1)
                for line in row_lines(row, line=number, zone=UTC, now=now)
            ),
        )
        write(f"{report.created} past dialogues with {report.messages} messages")
    with organisation_scope(organisation.pk):
        past = Conversation.objects.filter(
            external_id__startswith="past-", origin=Conversation.Origin.IMPORT
        )
        past.filter(first_reply_at__isnull=False).update(
            hand_off_at=F("first_reply_at") - HANDED, hand_off_reason=PEOPLE_ASKED
        )
        past.update(
            origin=Conversation.Origin.WIDGET, channel=Channel.objects.filter(key=KEY).first()
        )


def models_setup(organisation: Organisation, write: Write) -> None:
    """What is asked and how people feel, learned from the shop's own answers and dialogues, and deployed.

    Both languages where the installation has a base that reads Chinese, else English.
    """
    languages = base_languages()
    language = "mixed" if len(languages) > 1 else languages[0]
    for name in (INTENT, EMOTION):
        with organisation_scope(organisation.pk):
            deployed = Deployment.objects.select_related("version").filter(name=name).first()
            if deployed is not None and set(languages) <= set(deployed.version.languages):
                continue
        version = _train(organisation, name, language, list(languages), write)
        first_model_deploy(
            organisation=organisation, version=version, reason="The demonstration's first model"
        )
        write(f"{version.label} deployed")


def _train(
    organisation: Organisation, name: str, language: str, languages: list[str], write: Write
) -> ModelVersion:
    recipe = RECIPES[name]
    with organisation_scope(organisation.pk):
        known = ModelVersion.objects.filter(name=name, languages__contains=languages)
        if (version := known.order_by("-number").first()) is not None:
            return version
        dataset, _added = recipe_dataset(recipe=recipe, actor=SYSTEM, language=language)
    return first_model_train(
        organisation=organisation,
        dataset=dataset,
        name=name,
        config={**recipe.config, **QUICK, "languages": languages},
        write=write,
    )


def evaluation_setup(organisation: Organisation, write: Write) -> None:
    """Questions whose right source is known, asked of what was published, by a worker."""
    with organisation_scope(organisation.pk):
        if EvaluationQuestion.objects.exists():
            return
        questions = demo_questions()
        for each in questions:
            question_save(
                values={
                    "question": each.text,
                    "intents": list(each.intents),
                    "document_keys": list(each.documents),
                    "unanswerable": not (each.intents or each.documents),
                }
            )
        evaluation_start(actor=SYSTEM)
    write(f"{len(questions)} questions to measure with")


def pairs_setup(organisation: Organisation, write: Write) -> None:
    """What the past dialogues have that the answers have not, found by a worker."""
    with organisation_scope(organisation.pk):
        if MinedPair.objects.exists() or mining_job() is not None:
            return
        mining_start(actor=SYSTEM)
    write("past dialogues are searched for answers")
