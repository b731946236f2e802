"""Nobody sees or changes a row of another organisation: not by any endpoint, stream, message or job.

Everything is found by itself (models, the OpenAPI schema, the registries), so what is added later is walked too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import psycopg.errors
import pytest
from django.db import connection, transaction
from django.db.utils import Error as DatabaseError
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from rootstock.common.ids import uuid7
from rootstock.jobs import runner
from rootstock.outbox.handlers import handler_get, handler_topics, handling
from rootstock.realtime.selectors import heads, page_after
from rootstock.realtime.services import event_append
from rootstock.realtime.streams import stream_names
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.rls import APP_ROLE, LOOKUP_ROLE
from rootstock.tenancy.scope import organisation_scope
from tests.contract.samples import ids_by_parameter, make_rows, tenant_models

FOREIGN = "ForeignMarker"
OWN = "OwnMarker"
MODELS = tenant_models()


def rows_of(query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, list(arguments))
        return cursor.fetchall()


def state_of(organisation: Organisation) -> dict[str, Any]:
    """Everything an organisation has, as text by table."""
    with organisation_scope(organisation.pk):
        return {
            model._meta.label: json.dumps(list(model.objects.order_by("pk").values()), default=str)
            for model in MODELS
        }


# --- the database itself -----------------------------------------------------------------------


def test_every_table_with_an_organisation_is_forced(db):
    tables = {
        name: (enabled, forced, is_partition)
        for name, enabled, forced, is_partition in rows_of(
            "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relispartition "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') "
            "AND a.attname = 'organisation_id' AND NOT a.attisdropped"
        )
    }
    assert {model._meta.db_table for model in MODELS} <= set(tables)
    tables["tenancy_organisation"] = (*tables.get("tenancy_organisation", (True, True)), False)[:3]
    unforced = [name for name, (enabled, forced, _) in tables.items() if not (enabled and forced)]
    assert unforced == []
    policies: dict[str, list[tuple[Any, ...]]] = {}
    for table, name, roles, using, check in rows_of(
        "SELECT tablename, policyname, roles::text[], qual, with_check FROM pg_policies "
        "WHERE schemaname = 'public'"
    ):
        policies.setdefault(table, []).append((name, roles, using, check))
    for table, (_enabled, _forced, is_partition) in tables.items():
        column = "id" if table == "tenancy_organisation" else "organisation_id"
        for name, roles, using, check in policies.get(table, []):
            if name == "lookup":
                assert roles == [LOOKUP_ROLE], f"{table}: {roles}"
                continue
            assert name == "tenant", f"{table} has a policy {name}"
            for expression in (using, check):
                assert expression is not None, f"{table} has no WITH CHECK"
                assert expression.startswith(
                    f"({column} = (NULLIF(current_setting('rootstock.organ"
                )
        names = {name for name, *_ in policies.get(table, [])}
        if is_partition:
            assert not names, f"the partition {table} is reached by its own name"
        else:
            assert "tenant" in names, f"{table} has no policy"


def test_the_web_role_has_no_power(db):
    assert rows_of("SELECT current_user") == [(APP_ROLE,)]
    (attributes,) = rows_of(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = %s",
        APP_ROLE,
    )
    assert not any(attributes)
    assert rows_of("SELECT relname FROM pg_class WHERE relowner = %s::regrole", APP_ROLE) == []
    assert rows_of("SELECT 1 FROM pg_auth_members WHERE member = %s::regrole", APP_ROLE) == [], (
        "it is a member of another role"
    )
    may_truncate = rows_of(
        "SELECT table_name FROM information_schema.role_table_grants "
        "WHERE grantee = %s AND privilege_type = 'TRUNCATE'",
        APP_ROLE,
    )
    assert may_truncate == []
    (lookup,) = rows_of(
        "SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = %s", LOOKUP_ROLE
    )
    assert not any(lookup)


def test_without_an_organisation_there_is_nothing(organisation):
    rows = make_rows(organisation, OWN)
    assert len(rows) == len(MODELS)
    for model in MODELS:
        assert model.objects.count() == 0, model._meta.label
    assert Organisation.objects.count() == 0


def test_without_an_organisation_nothing_is_taken(organisation):
    rows = make_rows(organisation, OWN)
    for label, row in rows.items():
        twin = copy(row)
        if hasattr(twin, "id"):
            twin.id = uuid7() if isinstance(twin.id, uuid.UUID) else None
        with pytest.raises(DatabaseError) as error, transaction.atomic():
            twin.save(force_insert=True)
            pytest.fail(f"{label} took a row outside any scope")
        assert isinstance(error.value.__cause__, psycopg.errors.InsufficientPrivilege), label


def test_no_row_can_be_moved_into_another_organisation(organisation, organisation_b):
    rows = make_rows(organisation, OWN)
    for label, row in rows.items():
        with (
            organisation_scope(organisation.pk),
            pytest.raises(DatabaseError),
            transaction.atomic(),
        ):
            type(row).objects.filter(pk=row.pk).update(organisation_id=organisation_b.pk)
            pytest.fail(f"{label} was given away")


# --- REST --------------------------------------------------------------------------------------


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


SCHEMAS = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]


def smallest(schema: dict[str, Any], ids: dict[str, str], name: str = "") -> Any:  # noqa: PLR0911
    """A valid body that names the foreign rows wherever an id is asked for."""
    if "$ref" in schema:
        return smallest(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]], ids, name)
    if "allOf" in schema:
        return smallest(schema["allOf"][0], ids, name)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {
            key: smallest(value, ids, key) for key, value in schema.get("properties", {}).items()
        }
    if kind == "array":
        return [smallest(schema.get("items", {}), ids, name.removesuffix("s"))]
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    if kind == "boolean":
        return False
    formats = {
        "uuid": ids.get(name) or ids.get(f"{name}_id") or next(iter(ids.values())),
        "date-time": "2026-01-01T00:00:00Z",
        "date": "2026-01-01",
        "email": "somebody@example.com",
        "uri": "https://example.com/hook",
    }
    return formats.get(schema.get("format", ""), "x" * max(1, schema.get("minLength", 1)))


def areas() -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """The operations by the first two words of their paths after the version."""
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, method, operation in operations():
        area = "/".join(path.removeprefix("/api/v1/").split("/")[:2])
        found.setdefault(area, []).append((path, method, operation))
    return found


AREAS = areas()


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside is rolled back, so that the rows need not be made for every request."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.parametrize("area", sorted(AREAS))
def test_no_endpoint_shows_or_changes_a_foreign_row(organisation, organisation_b, make_key, area):
    mine = make_rows(organisation, OWN)
    foreign = make_rows(organisation_b, FOREIGN)
    before = state_of(organisation_b)
    api = Client(
        headers={"Authorization": f"Bearer {make_key(organisation)}"}, raise_request_exception=False
    )
    for path, method, operation in AREAS[area]:
        with undone():
            ask_for_foreign_rows(api, path, method, operation, foreign)
            assert state_of(organisation_b) == before, f"{method} {path}"
    assert mine


def ask_for_foreign_rows(
    api: Client, path: str, method: str, operation: dict[str, Any], foreign: dict[str, Any]
) -> None:
    """Call an operation with ids of somebody else, in its path and in its body: nothing of theirs is told."""
    ids = ids_by_parameter(foreign)
    # Not ids, but what stands for one in a path.
    ids |= {"name": foreign["modelhub.Deployment"].name, "number": "1"}
    targets = [path]
    parameters = {
        p["name"]: p["schema"].get("enum")
        for p in operation.get("parameters", [])
        if p["in"] == "path"
    }
    for name, choices in parameters.items():
        wanted = {ids[name]} if name in ids else {str(row.pk) for row in foreign.values()}
        targets = [
            t.replace(f"{{{name}}}", value) for t in targets for value in sorted(choices or wanted)
        ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    for target in targets:
        for data in [smallest(body["schema"], ids), {}] if body else [None]:
            response = api.generic(
                method.upper(),
                target,
                json.dumps(data) if data is not None else "",
                content_type="application/json",
            )
            told = f"{method} {target}"
            assert response.status_code < 500, f"{told}: {response.content[:400]!r}"
            if any("_id" in name for name in parameters):
                assert response.status_code >= 400, f"{told} exists for a foreigner"
            text = b"".join(response).decode()
            assert FOREIGN not in text, told
            for row in foreign.values():
                if isinstance(row.pk, int):
                    continue  # a small number is in many answers
                if str(row.pk) not in target and str(row.pk) not in json.dumps(data):
                    assert str(row.pk) not in text, f"{told}: {type(row).__name__} of somebody else"


# --- streams, messages, jobs -------------------------------------------------------------------


def test_no_stream_carries_foreign_events(organisation, organisation_b):
    assert stream_names()
    for stream in stream_names():
        with organisation_scope(organisation_b.pk):
            event_append(stream=stream, type="test", payload={"text": FOREIGN})
        with organisation_scope(organisation.pk):
            assert heads([stream])[stream] == 0
            assert page_after(stream, 0).events == []


class ForeignPayload(dict[str, Any]):
    """Whatever a handler asks for, it is told the id of somebody else's row."""

    def __init__(self, ids: dict[str, str]) -> None:
        super().__init__()
        self.ids = ids

    def __missing__(self, key: str) -> Any:
        single = key.removesuffix("s")
        if key.endswith("ids"):
            return [self.ids.get(single) or next(iter(self.ids.values()))]
        return self.ids.get(key) or self.ids.get(f"{key}_id") or next(iter(self.ids.values()))

    def get(self, key: str, default: Any = None) -> Any:
        return self[key]


@pytest.mark.parametrize("topic", handler_topics())
def test_no_message_reaches_a_foreign_row(live_db, organisation, organisation_b, topic, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    foreign = make_rows(organisation_b, FOREIGN)
    before = state_of(organisation_b)
    payload = ForeignPayload(ids_by_parameter(foreign))
    handler = handler_get(topic)
    with handling(organisation.pk):
        try:
            more = [handler.prepare(payload)] if handler.prepare else []
            with organisation_scope(organisation.pk):
                handler.function(payload, *more)
        except Exception as error:  # a refusal is as good as doing nothing
            print(f"{topic} refused: {error!r}")
    assert state_of(organisation_b) == before
    assert FOREIGN not in json.dumps(state_of(organisation))


@pytest.mark.parametrize("name", sorted(runner._kinds))
def test_no_job_reaches_a_foreign_row(live_db, organisation, organisation_b, name):
    foreign = make_rows(organisation_b, FOREIGN)
    before = state_of(organisation_b)
    kind = runner.kind_get(name)
    assert kind is not None
    with organisation_scope(organisation.pk):
        job = runner.Job.objects.create(kind=name, title="x", params={}, queue="default")
    context = runner.JobContext(job, resumable=kind.resumable)
    context.params = ForeignPayload(ids_by_parameter(foreign))
    try:
        kind.run(context)
    except Exception as error:  # a refusal is as good as doing nothing
        print(f"{name} refused: {error!r}")
    assert state_of(organisation_b) == before
    assert FOREIGN not in json.dumps(state_of(organisation))
