"""Past dialogues come in as conversations: by file, by REST, once however often."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.customer_service.models import Conversation, Message, UnansweredQuestion, Visitor
from apps.customer_service.services.learning.dialogue_jobs import import_start
from rootstock.common.actors import SYSTEM
from rootstock.jobs.models import Job
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]

CSV = (
    "conversation,time,who,text,customer,resolved,rating,intent,emotion,edited\n"
    "T-1,2026-03-04T08:15:00Z,customer,Where is my parcel?,C7,yes,5,delivery,anger,\n"
    "T-1,2026-03-04T08:17:00Z,agent,It arrives today.,,,,,,yes\n"
    "T-1,2026-03-04T08:18:00Z,customer,Thank you!,,,,,joy,\n"
    "T-2,2026-03-05T08:15:00Z,customer,怎么退货？,,no,,,,\n"
    "T-2,soon,agent,在订单里,,,,,,\n"
)


def imported(organisation: Any, data: str = CSV, name: str = "talks.csv") -> Job:
    """A file, imported to its end."""
    with organisation_scope(organisation.pk):
        job = import_start(file=ContentFile(data.encode(), name), name=name, actor=SYSTEM)
    kit.work(organisation)
    with organisation_scope(organisation.pk):
        return Job.objects.get(pk=job.pk)


@pytest.mark.usefixtures("world")
def test_a_file_becomes_conversations(organisation: Any) -> None:
    job = imported(organisation)
    assert (job.state, job.error) == ("succeeded", "")
    assert job.result is not None
    assert {k: v for k, v in job.result.items() if k != "bad_rows"} == {
        "created": 2, "grown": 0, "unchanged": 0, "messages": 4, "bad": 1,
    }  # fmt: skip
    [bad] = job.result["bad_rows"]
    assert (bad["line"], bad["column"]) == (6, "time")
    assert not default_storage.exists(job.params["path"])
    with organisation_scope(organisation.pk):
        first, second = Conversation.objects.order_by("external_id")
        assert (first.origin, first.status, first.csat, first.intent) == (
            "import",
            "resolved",
            5,
            "delivery",
        )
        assert (first.visitor.external_id, first.language) == ("C7", "en")
        assert (first.created_at, first.resolved_at) == (
            datetime(2026, 3, 4, 8, 15, tzinfo=UTC), datetime(2026, 3, 4, 8, 18, tzinfo=UTC),
        )  # fmt: skip
        assert (first.contained, first.emotion, first.last_sequence) == (False, "joy", 3)
        assert 0 < first.anger < 1
        said = list(first.messages.order_by("sequence"))
        assert [each.author for each in said] == ["visitor", "agent", "visitor"]
        assert said[1].trace == {"given": {"edited": True}}
        assert said[1].created_at == datetime(2026, 3, 4, 8, 17, tzinfo=UTC)
        assert (second.resolved_at, second.language) == (None, "zh")
        unanswered = UnansweredQuestion.objects.get()
        assert (unanswered.text, unanswered.reason) == ("怎么退货？", "unresolved")
        assert unanswered.created_at == second.created_at


@pytest.mark.usefixtures("world")
def test_the_same_file_again_changes_nothing_and_a_longer_one_adds(organisation: Any) -> None:
    imported(organisation)
    again = imported(organisation)
    assert again.result is not None
    assert (again.result["unchanged"], again.result["messages"]) == (2, 0)
    more = CSV.replace("soon", "2026-03-05T08:20:00Z")
    grown = imported(organisation, more)
    assert grown.result is not None
    assert (grown.result["grown"], grown.result["unchanged"], grown.result["messages"]) == (1, 1, 1)
    with organisation_scope(organisation.pk):
        assert (Conversation.objects.count(), Message.objects.count()) == (2, 5)
        assert Visitor.objects.filter(external_id="C7").count() == 1


@pytest.mark.usefixtures("world")
def test_a_file_of_another_kind_fails_with_the_reason(organisation: Any) -> None:
    job = imported(organisation, "a,b\n1,2\n")
    assert job.state == "failed"
    assert "who said what" in job.error
    assert not default_storage.exists(job.params["path"])


@pytest.fixture
def browser(scope: Any, make_user: Callable[..., Any]) -> Client:
    """Signed in as an owner."""
    client = Client()
    client.force_login(make_user(scope), "django.contrib.auth.backends.ModelBackend")
    return client


def test_rest_takes_dialogues_and_names_the_wrong_one(browser: Client) -> None:
    body = {
        "dialogues": [
            {"id": "R-1", "rating": 4, "turns": [{"who": "user", "text": "Hi"}, {"who": "bot", "text": "Hello"}]},
            {"id": "R-2", "turns": [{"who": "nobody", "text": "Hi"}]},
        ]
    }  # fmt: skip
    url = "/api/v1/service/dialogues"
    answer = browser.post(url, json.dumps(body), content_type="application/json").json()
    assert (answer["created"], answer["messages"], answer["bad"]) == (1, 2, 1)
    assert (answer["bad_rows"][0]["line"], answer["bad_rows"][0]["column"]) == (2, "turns[0].who")
    again = browser.post(url, json.dumps(body), content_type="application/json").json()
    assert (again["created"], again["unchanged"]) == (0, 1)


def test_rest_takes_a_file(browser: Client, settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        },
    }
    url = "/api/v1/service/dialogues/imports"
    file = SimpleUploadedFile("talks.csv", CSV.encode())
    answer = browser.post(url, {"file": file})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert [row["id"] for row in browser.get(url).json()["results"]] == [answer.json()["id"]]
    wrong = browser.post(url, {"file": SimpleUploadedFile("talks.exe", b"x")})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/file")
    page = browser.get("/service/learning/import/")
    assert "talks.csv" in page.content.decode()
    report = browser.get(f"/service/learning/import/{answer.json()['id']}/")
    assert 'hx-trigger="every 1s"' in report.content.decode()


def test_only_who_sets_up_the_service_may_import(scope: Any, make_user: Callable[..., Any]) -> None:
    client = Client()
    client.force_login(make_user(scope, Role.VIEWER), "django.contrib.auth.backends.ModelBackend")
    assert client.get("/service/learning/import/").status_code == 403
    answer = client.post("/api/v1/service/dialogues", "{}", content_type="application/json")
    assert answer.status_code == 403
