"""The assistant's settings over REST and on the page: who may, what is refused, channels of their own, tuning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.customer_service.models import Assistant, Channel, EvaluationQuestion
from apps.customer_service.selectors.answering import assistant_get
from apps.customer_service.services.tuning import TUNE_JOB
from rootstock.audit.models import AuditEntry
from rootstock.jobs.models import Job
from rootstock.modelhub.models import Deployment, ModelVersion
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope

URL = "/api/v1/service/assistant"
PAGE = "/service/settings/assistant/"
REPORT = {
    "questions": [14, 12],
    "weight": {"before": 0.6, "after": 0.35},
    "threshold": {"before": 0.8, "after": 0.71},
    "ranking": {
        "before": {"recall@1": 0.5, "recall@5": 0.75, "mrr@10": 0.6, "mean": 0.62},
        "after": {"recall@1": 0.75, "recall@5": 0.9, "mrr@10": 0.8, "mean": 0.82},
        "gain": [0.2, 0.05, 0.3],
    },
    "direct": {"questions": 10, "before": [4, 4], "after": [7, 6]},
}


@pytest.fixture
def api(organisation: Any, make_key: Any) -> Client:
    """A key that may set the service up."""
    key = make_key(organisation, ["service:read", "service:write"])
    return Client(headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
def shop(organisation: Any) -> Channel:
    with organisation_scope(organisation.pk):
        return Channel.objects.create(name="Shop", key="shop-key-0002")


def send(client: Client, method: str, url: str, body: Any = None) -> Any:
    return client.generic(method, url, json.dumps(body or {}), content_type="application/json")


def page(organisation: Any, make_user: Callable[..., Any], role: Role = Role.MANAGER) -> Client:
    client = Client()
    client.force_login(make_user(organisation, role))
    return client


# --- REST ------------------------------------------------------------------------------------------------


def test_settings_are_read_and_changed(organisation: Any, api: Client) -> None:
    assert (api.get(URL).json()["template_threshold"], api.get(URL).json()["channel"]) == (
        0.8,
        None,
    )
    change = {
        "template_threshold": 0.9,
        "blocked_words": [" bet ", "bet", ""],
        "unmasked": ["PHONE"],
    }
    refused = send(api, "PATCH", URL, change)
    assert refused.status_code == 422  # an empty word
    change["blocked_words"] = [" big   bet ", "big bet", "赌博"]
    changed = send(api, "PATCH", URL, change)
    assert changed.status_code == 200, changed.content
    assert changed.json()["blocked_words"] == ["big bet", "赌博"]
    assert api.get(URL).json()["unmasked"] == ["PHONE"]
    with organisation_scope(organisation.pk):
        assert Assistant.objects.count() == 1
        entry = AuditEntry.objects.get(action="service.assistant.update")
        assert entry.changes["template_threshold"] == [0.8, 0.9]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"template_threshold": 1.5}, "/template_threshold"),
        ({"vector_weight": -0.1}, "/vector_weight"),
        ({"offer_people_after": 0}, "/offer_people_after"),
        ({"unmasked": ["ID_CARD"]}, "/unmasked/0"),
        ({"composer": "generator"}, "/generator"),
        ({"generator": "no/such"}, "/generator"),
        ({"reranker": "nobody"}, "/reranker"),
        ({"composer": "poet"}, "/composer"),
    ],
)
def test_what_cannot_be_is_refused_by_name(api: Client, change: Any, pointer: str) -> None:
    response = send(api, "PATCH", URL, change)
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


def test_a_generator_must_write(organisation: Any, api: Client) -> None:
    with organisation_scope(organisation.pk):
        for name, task in (
            ("help.replies", "text-generation"),
            ("service.intent", "text-classification"),
        ):
            version = ModelVersion.objects.create(
                name=name, number=1, task=task, labels=[], languages=["en"], base="packaged", digest="d", size_bytes=1,
                artifact_path=f"{organisation.pk}/{name}", actor_kind="system", actor_id="", actor_label="test",
            )  # fmt: skip
            Deployment.objects.create(name=name, task=task, version=version)
    wrong = send(api, "PATCH", URL, {"composer": "generator", "generator": "service.intent"})
    assert wrong.status_code == 422
    assert "writes no text" in wrong.content.decode()
    # The assistant cannot be its own generator.
    assert send(api, "PATCH", URL, {"generator": "assistant"}).status_code == 422
    right = send(api, "PATCH", URL, {"composer": "generator", "generator": "help.replies"})
    assert right.json()["generator"] == "help.replies"


def test_a_channel_has_settings_of_its_own_until_it_follows_again(
    organisation: Any, api: Client, shop: Channel
) -> None:
    url = f"/api/v1/service/channels/{shop.pk}/assistant"
    send(api, "PATCH", URL, {"support_threshold": 0.5, "vector_weight": 0.3})
    assert api.get(url).json()["channel"] is None
    own = send(api, "PATCH", url, {"small_talk": False}).json()
    assert own["channel"] == str(shop.pk)
    assert (own["small_talk"], own["support_threshold"], own["vector_weight"]) == (False, 0.5, 0.3)
    send(api, "PATCH", URL, {"support_threshold": 0.2, "vector_weight": 0.4})
    own = api.get(url).json()
    assert (own["support_threshold"], own["vector_weight"]) == (0.5, 0.4)
    assert send(api, "PATCH", url, {"vector_weight": 0.1}).json()["vector_weight"] == 0.4
    assert api.get(URL).json()["small_talk"] is True
    assert api.delete(url).status_code == 204
    assert api.get(url).json()["support_threshold"] == 0.2


def test_who_may(organisation: Any, make_key: Any) -> None:
    reader = Client(headers={"Authorization": f"Bearer {make_key(organisation, ['service:read'])}"})
    assert reader.get(URL).status_code == 200
    assert send(reader, "PATCH", URL, {"csat": False}).status_code == 403
    assert send(reader, "POST", f"{URL}/tuning").status_code == 403
    other = Client(headers={"Authorization": f"Bearer {make_key(organisation, ['jobs:read'])}"})
    assert other.get(URL).status_code == 403


def test_tuning_over_rest(organisation: Any, api: Client) -> None:
    assert api.get(f"{URL}/tuning").status_code == 404
    few = send(api, "POST", f"{URL}/tuning")
    assert (few.status_code, few.json()["type"].rsplit(":", 1)[-1]) == (409, "too-few-questions")
    with organisation_scope(organisation.pk):
        for number in range(20):
            EvaluationQuestion.objects.create(question=f"Question {number}?", intents=["x"])
    started = send(api, "POST", f"{URL}/tuning")
    assert (started.status_code, started.json()["state"]) == (202, "queued")
    assert send(api, "POST", f"{URL}/tuning").status_code == 409
    assert send(api, "POST", f"{URL}/tuning/use").status_code == 404
    with organisation_scope(organisation.pk):
        Job.objects.filter(kind=TUNE_JOB).update(
            state="succeeded", result=REPORT, finished_at=timezone.now()
        )
    assert api.get(f"{URL}/tuning").json()["report"]["weight"]["after"] == 0.35
    used = send(api, "POST", f"{URL}/tuning/use").json()
    assert (used["vector_weight"], used["template_threshold"]) == (0.35, 0.71)
    assert used["retrieval_report"]["ranking"]["gain"] == [0.2, 0.05, 0.3]


# --- pages -----------------------------------------------------------------------------------------------


def test_the_page_changes_everything_at_once(
    organisation: Any, make_user: Callable[..., Any], shop: Channel
) -> None:
    client = page(organisation, make_user)
    shown = client.get(PAGE).content.decode()
    assert "Assistant" in shown
    assert "all channels" in shown
    values = {
        "template_threshold": "0.75", "support_threshold": "0.3", "composer": "extractive", "generator": "",
        "vector_weight": "", "reranker": "", "small_talk": "on", "offer_people_after": "3",
        "blocked_words": "casino\n赌博", "masked": ["EMAIL", "ADDRESS"],
    }  # fmt: skip
    assert client.post(PAGE, values).status_code == 302
    with organisation_scope(organisation.pk):
        saved = assistant_get()
        assert (saved.template_threshold, saved.vector_weight) == (0.75, None)
        assert (saved.small_talk, saved.offer_people, saved.csat) == (True, False, False)
        assert (saved.blocked_words, saved.unmasked) == (["casino", "赌博"], ["PHONE"])
    own = client.get(f"{PAGE}?channel={shop.pk}").content.decode()
    assert "follows the organisation" in own
    assert "vector_weight" not in own
    posted = client.post(f"{PAGE}?channel={shop.pk}", {**values, "template_threshold": "0.99"})
    assert posted.status_code == 302
    assert "settings of its own" in client.get(f"{PAGE}?channel={shop.pk}").content.decode()
    with organisation_scope(organisation.pk):
        assert assistant_get(shop.pk).template_threshold == 0.99
        assert assistant_get().template_threshold == 0.75
    assert client.post(f"{PAGE}follow/", {"channel": str(shop.pk)}).status_code == 302
    with organisation_scope(organisation.pk):
        assert assistant_get(shop.pk).template_threshold == 0.75
    wrong = client.post(PAGE, {**values, "composer": "generator", "generator": "no/such"})
    assert wrong.status_code == 422
    assert "There is no such model" in wrong.content.decode()


def test_the_tuning_page_says_what_to_do_next(
    organisation: Any, make_user: Callable[..., Any]
) -> None:
    client = page(organisation, make_user)
    url = f"{PAGE}tuning/"
    assert "More questions are needed" in client.get(url).content.decode()
    with organisation_scope(organisation.pk):
        for number in range(20):
            EvaluationQuestion.objects.create(question=f"Question {number}?", intents=["x"])
    assert "Nothing has been tuned yet" in client.get(url).content.decode()
    assert client.post(f"{url}run/").status_code == 302
    assert "Waiting for a free worker" in client.get(url).content.decode()
    assert client.get(f"{url}progress/").status_code == 200
    with organisation_scope(organisation.pk):
        Job.objects.filter(kind=TUNE_JOB).update(
            state="succeeded", result=REPORT, finished_at=timezone.now()
        )
    assert client.get(f"{url}progress/")["HX-Refresh"] == "true"
    shown = client.get(url).content.decode()
    assert "found better by 20.0 points" in shown
    assert "6 right, 1 wrong, of 10" in shown
    assert client.post(f"{url}use/").status_code == 302
    assert "Visitors are answered by it." in client.get(url).content.decode()
    with organisation_scope(organisation.pk):
        assert assistant_get().vector_weight == 0.35


def test_readers_see_and_change_nothing(organisation: Any, make_user: Callable[..., Any]) -> None:
    client = page(organisation, make_user, Role.VIEWER)
    shown = client.get(PAGE)
    assert shown.status_code == 200
    assert "disabled" in shown.content.decode()
    assert client.post(PAGE, {}).status_code == 403
    assert client.post(f"{PAGE}tuning/run/").status_code == 403
