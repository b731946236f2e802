"""Collections by REST and on their pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from vectors_helpers import FIRST, SECOND, active, make_collection, work

from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.models import Collection, Item

ROOT = "/api/v1/vectors"


class Api:
    """Asks as a program does."""

    def __init__(self, key: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {key}"})

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        response = self.client.generic(
            method, f"{ROOT}/{path}", "" if body is None else _json(body), "application/json"
        )
        assert response.status_code == status, response.content
        return response.json() if response.content else None


def _json(body: Any) -> str:
    import json

    return json.dumps(body)


@pytest.fixture
def api(organisation: Any, make_key: Callable[..., str]) -> Api:
    return Api(make_key(organisation))


@pytest.fixture
def browser(organisation: Any, make_user: Callable[..., Any]) -> Client:
    client = Client()
    client.force_login(make_user(organisation))
    return client


# --- REST ----------------------------------------------------------------------------------------


def test_a_program_makes_fills_and_searches_a_collection(live_db, api, organisation):
    made = api("POST", "collections/", {"name": "News", "model": FIRST}, 201)
    path = f"collections/{made['id']}"
    assert (made["items"], made["active"]) == (0, None)
    items = [
        {"key": "a", "text": "the bank raises its rate", "attributes": {"lang": "en"}},
        {"key": "b", "text": "rain in the north", "reference": "https://example.com/b"},
    ]
    assert api("POST", f"{path}/items/", {"items": items}) == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
    }
    assert api("POST", f"{path}/search/", {"query": "rate"}, 409)["type"].endswith("no-space")
    work(organisation)
    found = api("POST", f"{path}/search/", {"query": "bank rate", "k": 1})
    assert found["model"] == FIRST
    assert [hit["key"] for hit in found["hits"]] == ["a"]
    narrowed = api("POST", f"{path}/search/", {"query": "rain", "filters": {"lang": ["en", "zh"]}})
    assert [hit["key"] for hit in narrowed["hits"]] == ["a"]
    assert api("POST", f"{path}/items/delete/", {"keys": ["a"]}) == {"deleted": 1}
    assert [row["key"] for row in api("GET", f"{path}/items/")["results"]] == ["b"]
    api("DELETE", f"{path}/", status=204)
    api("GET", f"{path}/", status=404)


def test_a_program_changes_the_model(live_db, api, organisation):
    collection = make_collection(organisation, ["bank", "rain"], model="")
    path = f"collections/{collection.pk}"
    job = api("POST", f"{path}/model/", {"model": SECOND}, 202)["job"]
    assert api("POST", f"{path}/model/", {"model": FIRST}, 409)["type"].endswith("model-changing")
    work(organisation)
    shown = api("GET", f"{path}/")
    assert (shown["active"]["model"], shown["job"], shown["waiting"]) == (SECOND, job, 0)
    assert [space["state"] for space in shown["former"]] == ["retired"]
    set_to = api("PUT", "embedding-model/", {"model": SECOND, "reembed": True})
    assert set_to == {"model": SECOND, "jobs": []}
    assert api("GET", "embedding-model/")["model"] == SECOND


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("collections/", {"name": ""}, "/name"),
        ("collections/", {"name": "x", "kind": "No Kind"}, "/kind"),
        ("collections/", {"name": "x", "model": "/etc/passwd"}, "/model"),
        ("collections/", {"name": "x", "languages": ["english"]}, "/languages/0"),
        ("collections/{id}/search/", {"query": "x", "k": 201}, "/k"),
        ("collections/{id}/search/", {"query": "x", "filters": {"a": {"b": 1}}}, "/filters"),
        ("collections/{id}/search/", {"query": "x", "filters": {"a": "\u0000"}}, "/filters/a"),
        ("collections/{id}/items/", {"items": [{"key": "a", "text": "\u0000"}]}, "/items/0/text"),
    ],
)
def test_what_is_wrong_is_named(db, scope, api, path, body, pointer):  # noqa: PLR0917 - fixtures
    collection = Collection.objects.create(name="News")
    refused = api("POST", path.format(id=collection.pk), body, 422)
    assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert not Item.objects.exists()


def test_reading_is_not_writing(db, scope, organisation, make_key):
    collection = Collection.objects.create(name="News")
    reader = Api(make_key(organisation, scopes=["models:read"]))
    reader("GET", f"collections/{collection.pk}/")
    reader("POST", "collections/", {"name": "x"}, 403)
    reader("POST", f"collections/{collection.pk}/items/", {"items": []}, 403)
    reader("POST", f"collections/{collection.pk}/model/", {}, 403)


# --- pages ---------------------------------------------------------------------------------------


def test_a_person_makes_a_collection_and_tries_a_search(live_db, organisation, browser):
    page = browser.get("/models/collections/").content.decode()
    assert "No collection yet" in page
    form = {"name": "News", "language": "mixed", "model": FIRST}
    made = browser.post("/models/collections/new/", form)
    assert made.status_code == 302
    assert "Waiting for a free worker" in browser.get(made.url).content.decode()
    with organisation_scope(organisation.pk):
        collection = Collection.objects.get()
    assert collection.languages == ["en", "zh"]
    from vectors_helpers import upsert

    from rootstock.vectors.services import ItemInput

    upsert(organisation, collection, ItemInput("a", "the bank raises its rate"))
    work(organisation)
    ended = browser.get(f"{made.url}progress/")
    assert ended.headers["HX-Refresh"] == "true"
    found = browser.get(made.url, {"q": "bank rate"}).content.decode()
    assert "the bank raises its rate" in found
    assert "Read by packaged" in found


def test_a_search_is_explained(live_db, organisation, browser, api):
    collection = make_collection(organisation, ["bank rate", "rain", "转账手续费"])
    path = f"collections/{collection.pk}/search/"
    found = api("POST", path, {"query": "bank rate", "mode": "hybrid", "k": 1, "weight": 0.5})
    (hit,) = found["hits"]
    assert (hit["words"], hit["rank_words"], hit["rank_vector"]) == (["bank", "rate"], 1, 1)
    assert 0 < hit["cosine"] <= 1
    assert (found["model"], found["weight"], found["words_only"]) == (FIRST, 0.5, "")
    words = api("POST", path, {"query": "轉帳", "mode": "words"})
    assert [hit["key"] for hit in words["hits"]] == ["2"]
    assert (words["space_id"], words["words_only"]) == (None, "asked")
    assert api("POST", path, {"query": "x", "mode": "hybrid", "weight": 3}, 422)
    assert api("POST", path, {"query": "x", "mode": "smell"}, 422)
    page = f"/models/collections/{collection.pk}/"
    shown = browser.get(page, {"q": "轉帳 手續費"}).content.decode()
    assert "转账手续费" in shown
    assert "手续费 · " in shown
    assert "does not read the language" in shown
    assert (
        "Nothing in the collection"
        in browser.get(page, {"q": "zebra", "mode": "words"}).content.decode()
    )


def test_a_person_changes_the_organisation_s_model(live_db, organisation, browser):
    collection = make_collection(organisation, ["bank", "rain"], model="")
    response = browser.post("/models/collections/embedding-model/", {"model": SECOND})
    assert response.status_code == 302
    page = browser.get("/models/collections/").content.decode()
    assert "One collection is read by another model than it should." in page
    browser.post("/models/collections/embedding-model/", {"model": SECOND, "reembed": "on"})
    work(organisation)
    assert active(organisation, collection).label == SECOND
    shown = browser.get(f"/models/collections/{collection.pk}/").content.decode()
    assert "Former models" in shown
    refused = browser.post("/models/collections/embedding-model/", {"model": "nowhere"})
    assert refused.status_code == 422
    assert "errorlist" in refused.content.decode()


def test_a_change_is_cancelled_and_a_collection_deleted_by_its_name(live_db, organisation, browser):
    collection = make_collection(organisation, ["bank", "rain"])
    page = f"/models/collections/{collection.pk}/"
    browser.post(f"{page}model/", {"model": SECOND})
    assert "Another model is reading it" in browser.get(page).content.decode()
    browser.post(f"{page}cancel/")
    assert "Another model is reading it" not in browser.get(page).content.decode()
    browser.post(f"{page}delete/", {"confirm": "Nows"})
    with organisation_scope(organisation.pk):
        assert Collection.objects.exists()
    browser.post(f"{page}delete/", {"confirm": "News"})
    with organisation_scope(organisation.pk):
        assert not Collection.objects.exists()


def test_a_reader_sees_and_changes_nothing(live_db, organisation, make_user):
    collection = make_collection(organisation, ["bank"])
    client = Client()
    client.force_login(make_user(organisation, role=Role.VIEWER))
    page = client.get(f"/models/collections/{collection.pk}/")
    assert page.status_code in (200, 403)
    assert client.post(f"/models/collections/{collection.pk}/model/", {}).status_code == 403
    assert client.get("/models/collections/new/").status_code == 403
