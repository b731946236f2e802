"""Reusable tests of a REST endpoint: subclass, name the path and the permission, and get the whole set.

    class TestMembers(ListCases, AnonymousCases):
        path = "/api/v1/members"
        permission = "people:read"

        def make(self, organisation): ...   # a row in the organisation; returns its id

Each case uses the fixtures of tests/conftest.py; a subclass says only what differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.test import Client

from rootstock.tenancy.models import Organisation
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.scope import organisation_scope

__all__ = ["AccessCases", "ChangeCases", "CreateCases", "DetailCases", "ListCases", "check_problem"]

MakeKey = Callable[..., str]


def check_problem(response: Any, status: int) -> dict[str, Any]:
    """The body of an error, after looking at its shape."""
    assert response.status_code == status, response.content[:500]
    assert response["Content-Type"].startswith("application/problem+json")
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert {"type", "title", "detail"} <= set(body)
    return body


@pytest.mark.django_db
class AccessCases:
    """Who gets in. `path` may hold `{id}`, which `make` fills."""

    path: ClassVar[str]
    permission: ClassVar[str]
    method: ClassVar[str] = "get"
    body: ClassVar[dict[str, Any] | None] = None

    def make(self, organisation: Organisation) -> str:
        """A row in the organisation (inside its scope); its id, or "" where the path needs none."""
        return ""

    def client(self, organisation: Organisation, make_key: MakeKey, *scopes: str) -> Client:
        """A client with a key of these scopes; of `permission` when none is named."""
        key = make_key(organisation, scopes=list(scopes) or [self.permission])
        return Client(headers={"Authorization": f"Bearer {key}"}, raise_request_exception=False)

    def call(self, client: Client, row_id: str = "", body: Any = None) -> Any:
        """The request that is tested."""
        data = self.body if body is None else body
        return client.generic(
            self.method.upper(),
            self.path.format(id=row_id),
            "" if data is None else _json(data),
            content_type="application/json",
        )

    def made(self, organisation: Organisation) -> str:
        """`make`, inside the scope."""
        with organisation_scope(organisation.pk):
            return self.make(organisation)

    def test_anonymous_is_refused(self, organisation: Organisation) -> None:
        """401, and how to sign in."""
        response = self.call(Client(), self.made(organisation))
        check_problem(response, 401)
        assert response["WWW-Authenticate"].startswith("Bearer")

    def test_every_other_scope_is_too_little(
        self, organisation: Organisation, make_key: MakeKey
    ) -> None:
        """403 that names what is missing, for a key that may do all but this."""
        others = [str(p) for p in Permission if p != self.permission]
        response = self.call(self.client(organisation, make_key, *others), self.made(organisation))
        assert self.permission in check_problem(response, 403)["detail"]

    def test_the_scope_is_enough(self, organisation: Organisation, make_key: MakeKey) -> None:
        """Nothing but the named permission is needed."""
        response = self.call(self.client(organisation, make_key), self.made(organisation))
        assert response.status_code < 400, response.content[:500]


class ListCases(AccessCases):
    """A list: pages, and no row of anybody else."""

    def test_lists_own_rows_only(
        self, organisation: Organisation, organisation_b: Organisation, make_key: MakeKey
    ) -> None:
        """The row of this organisation is there, the other's is not."""
        mine, foreign = self.made(organisation), self.made(organisation_b)
        body = self.call(self.client(organisation, make_key)).json()
        ids = [row["id"] for row in body["results"]]
        assert {"next", "previous"} <= set(body)
        assert foreign not in ids
        assert not mine or mine in ids

    def test_page_size_and_cursor(self, organisation: Organisation, make_key: MakeKey) -> None:
        """Pages follow each other; nonsense is a 422 that says where."""
        made = [self.made(organisation) for _ in range(3)]
        client = self.client(organisation, make_key)
        seen, url = [], f"{self.path}?page_size=1"
        while url:
            body = client.get(url).json()
            seen += [row["id"] for row in body["results"]]
            url = body["next"]
        assert set(made) <= set(seen)
        assert len(seen) == len(set(seen))
        for query, pointer in (("page_size=0", "/page_size"), ("cursor=x", "/cursor")):
            problem = check_problem(client.get(f"{self.path}?{query}"), 422)
            assert problem["errors"][0]["pointer"] == pointer


class DetailCases(AccessCases):
    """One row: read with its ETag, hidden from everybody else."""

    def test_etag(self, organisation: Organisation, make_key: MakeKey) -> None:
        """The same state is a 304."""
        row_id, client = self.made(organisation), self.client(organisation, make_key)
        etag = self.call(client, row_id)["ETag"]
        again = client.get(self.path.format(id=row_id), headers={"If-None-Match": etag})
        assert again.status_code == 304

    def test_another_organisation_finds_nothing(
        self, organisation: Organisation, organisation_b: Organisation, make_key: MakeKey
    ) -> None:
        """404, as for an id that was never given."""
        foreign = self.made(organisation_b)
        check_problem(self.call(self.client(organisation, make_key), foreign), 404)

    def test_unknown_and_malformed_ids(self, organisation: Organisation, make_key: MakeKey) -> None:
        """404 both."""
        client = self.client(organisation, make_key)
        check_problem(self.call(client, "00000000-0000-7000-8000-000000000000"), 404)
        check_problem(self.call(client, "nonsense"), 404)


class CreateCases(AccessCases):
    """Making a row: `body` is valid; `invalid` are (body, pointer) pairs."""

    method = "post"
    invalid: ClassVar[list[tuple[Any, str]]] = []

    def test_created(self, organisation: Organisation, make_key: MakeKey) -> None:
        """201 with the row."""
        response = self.call(self.client(organisation, make_key, *map(str, Permission)))
        assert response.status_code == 201, response.content[:500]
        assert response.json()["id"]

    def test_invalid_input(self, organisation: Organisation, make_key: MakeKey) -> None:
        """422 that says where, for each invalid body."""
        client = self.client(organisation, make_key, *map(str, Permission))
        for body, pointer in self.invalid:
            problem = check_problem(self.call(client, body=body), 422)
            assert pointer in [error["pointer"] for error in problem["errors"]], problem


class ChangeCases(DetailCases):
    """Changing a row: `body` is valid, a stale `If-Match` is refused."""

    method = "patch"

    def test_etag(self, organisation: Organisation, make_key: MakeKey) -> None:
        """412 for a state that is no longer there; nothing is changed."""
        row_id = self.made(organisation)
        client = self.client(organisation, make_key, *map(str, Permission))
        path = self.path.format(id=row_id)
        before = client.get(path).json()
        late = client.patch(
            path,
            _json(self.body),
            content_type="application/json",
            headers={"If-Match": '"stale"'},
        )
        check_problem(late, 412)
        assert client.get(path).json() == before


def _json(value: Any) -> str:
    import json

    return json.dumps(value)
