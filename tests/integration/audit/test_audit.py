"""The log: append-only, filtered, exported while it is read."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.utils import ProgrammingError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from rootstock.audit.models import AuditEntry
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM, Actor
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db
ANN = Actor("user", "0190-ann", "Ann")


@pytest.fixture
def entries(organisation):
    with organisation_scope(organisation.pk):
        audit_record(actor=ANN, action="accounts.api_key.create", target="loader", target_id="1")
        audit_record(actor=ANN, action="accounts.api_key.revoke", target="loader", target_id="1")
        audit_record(
            actor=SYSTEM, action="accountsx.other", target="=HYPERLINK()", target_id="2",
            changes={"a": [1, "值"]},
        )  # fmt: skip


@pytest.fixture
def page(client, organisation, make_user, entries):
    client.force_login(make_user(organisation, role="manager"))
    return client


@pytest.mark.parametrize(
    "sql",
    ["UPDATE audit_entry SET target = 'x'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"],
)
def test_the_database_refuses_to_change_the_log(organisation, entries, sql):
    with organisation_scope(organisation.pk):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            AuditEntry.objects.raw(sql)._fetch_all()
        assert AuditEntry.objects.count() == 3


def test_rest_filters(organisation, entries, make_key):
    api = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})

    def actions(**query):
        response = api.get("/api/v1/audit", query)
        assert response.status_code == 200, response.content
        return [row["action"] for row in response.json()["results"]]

    assert len(actions()) == 3
    assert actions(action="accounts") == ["accounts.api_key.revoke", "accounts.api_key.create"]
    assert actions(actor=ANN.id, action="accounts.api_key.create") == ["accounts.api_key.create"]
    assert actions(since=(timezone.now() + timedelta(hours=1)).isoformat()) == []
    assert len(actions(until=(timezone.now() + timedelta(hours=1)).isoformat())) == 3
    assert api.get("/api/v1/audit", {"since": "yesterday"}).status_code == 422
    assert api.post("/api/v1/audit").status_code == 405
    assert api.delete("/api/v1/audit").status_code == 405
    no_right = Client(
        headers={"Authorization": f"Bearer {make_key(organisation, scopes=['jobs:read'])}"}
    )
    assert no_right.get("/api/v1/audit").status_code == 403


def test_the_page_filters(page):
    text = page.get(reverse("audit:list")).content.decode()
    assert text.count("<tr>") >= 4
    filtered = page.get(reverse("audit:list"), {"action": "accounts.api_key.revoke"})
    assert "<code>accounts.api_key.revoke</code>" in filtered.content.decode()
    assert "<code>accounts.api_key.create</code>" not in filtered.content.decode()
    nothing = page.get(reverse("audit:list"), {"actor": ANN.id, "action": "accountsx.other"})
    assert "Nothing matches" in nothing.content.decode()
    assert page.get(reverse("audit:list"), {"since": "x", "page": "zz"}).status_code == 200


def test_the_export_streams_everything_of_this_organisation_only(
    page, organisation, organisation_b
):
    with organisation_scope(organisation_b.pk):
        audit_record(actor=SYSTEM, action="foreign", target="foreign", target_id="9")
    with organisation_scope(organisation.pk):
        AuditEntry.objects.bulk_create(
            AuditEntry(actor_kind="system", actor_id="s", actor_label="s", action="many",
                       target=str(n), target_id=str(n))
            for n in range(1200)
        )  # fmt: skip
    response = page.get(reverse("audit:export"))
    assert response.streaming
    rows = list(csv.DictReader(io.StringIO(b"".join(response).decode("utf-8-sig"))))
    assert len(rows) == 1203
    assert "foreign" not in {row["action"] for row in rows}
    formula = next(row for row in rows if row["action"] == "accountsx.other")
    assert formula["target"] == "'=HYPERLINK()"
    assert "值" in formula["changes"]
    one = page.get(reverse("audit:export"), {"action": "accounts.api_key.create"})
    assert b"".join(one).decode().count("\n") == 2


def test_nothing_yet(client, organisation, make_user):
    client.force_login(make_user(organisation))
    assert "Nothing yet" in client.get(reverse("audit:list")).content.decode()
