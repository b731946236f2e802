"""Members, roles and invitations, on the pages and over REST."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from rootstock.accounts.models import User
from rootstock.accounts.services import invitation_create, invitation_link
from rootstock.accounts.tasks import _send, send_invitation
from rootstock.audit.models import AuditEntry
from rootstock.common.actors import SYSTEM
from rootstock.outbox.handlers import handling
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.models import Invitation, Membership, Role
from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def owner(organisation, make_user):
    return make_user(organisation, role="owner", email="owner@example.com")


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return client


def member_of(organisation, user) -> Membership:
    with organisation_scope(organisation.pk):
        return Membership.objects.get(user=user)


def invite(organisation, email="new@example.com", role="analyst") -> Invitation:
    with organisation_scope(organisation.pk):
        return invitation_create(
            actor=SYSTEM, granted=frozenset(Permission), email=email, role=role
        )


def path_of(invitation: Invitation) -> str:
    return re.sub(r"^https?://[^/]+", "", invitation_link(invitation))


def test_the_page_lists_members_and_invitations(page, organisation, owner):
    invite(organisation)
    text = page.get(reverse("accounts:people")).content.decode()
    assert "owner@example.com" in text
    assert "new@example.com" in text


def test_an_invitation_is_sent_and_accepted_by_a_new_person(page, organisation):
    response = page.post(
        reverse("accounts:invite"), {"email": "New@Example.com", "role": "analyst"}
    )
    assert response.status_code == 200, response.content.decode()
    assert "no-store" in response["Cache-Control"]
    with organisation_scope(organisation.pk):
        message = OutboxMessage.objects.get(topic="accounts.invitation")
        invitation = Invitation.objects.get()
    assert "token" not in message.payload
    with handling(organisation.pk):
        sent = _send(message.payload)
    with organisation_scope(organisation.pk):
        send_invitation(message.payload, sent)
    (letter,) = mail.outbox
    assert letter.to == ["new@example.com"]
    path = path_of(invitation)
    assert path in letter.body
    assert path in response.content.decode()

    guest = Client()
    assert "new@example.com" in guest.get(path).content.decode()
    weak = guest.post(path, {"name": "New", "password": "12345"})
    assert weak.status_code == 200
    joined = guest.post(path, {"name": "New Person", "password": "battery staple 9"})
    assert joined.status_code == 302, joined.content.decode()
    user = User.objects.get(email="new@example.com")
    assert member_of(organisation, user).role == "analyst"
    assert guest.get("/api/v1/me").json()["role"] == "analyst"
    assert Client().get(path).status_code == 410
    with organisation_scope(organisation.pk):
        actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {
        "tenancy.invitation.create", "tenancy.invitation.sent", "tenancy.invitation.accept",
    } <= actions  # fmt: skip


def test_somebody_with_an_account_signs_in_first(organisation, organisation_b, make_user):
    user = make_user(organisation_b, role="owner", email="known@example.com")
    path = path_of(invite(organisation, email="known@example.com", role="viewer"))
    guest = Client()
    response = guest.get(path)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("accounts:sign-in"))
    guest.force_login(user)
    assert guest.get(path).status_code == 200
    assert guest.post(path).status_code == 302
    assert member_of(organisation, user).role == "viewer"
    assert guest.get("/api/v1/me").json()["organisation"]["id"] == str(organisation.pk)
    # … and goes back to where they own everything.
    switched = guest.post(reverse("accounts:switch"), {"organisation": str(organisation_b.pk)})
    assert switched.status_code == 302
    assert guest.get("/api/v1/me").json()["organisation"]["id"] == str(organisation_b.pk)


def test_an_invitation_is_for_one_address(organisation, organisation_b, make_user, client):
    client.force_login(make_user(organisation_b, email="other@example.com"))
    path = path_of(invite(organisation))
    response = client.post(path)
    assert "somebody else" in response.content.decode()
    with organisation_scope(organisation.pk):
        assert Membership.objects.count() == 0


@pytest.mark.parametrize("token", ["x", "é", "a" * 43, "../..", "%00"])
def test_a_wrong_token_is_gone(client, db, token):
    assert client.get(f"/join/{token}/").status_code in (404, 410)


def test_an_old_or_revoked_invitation_is_gone(page, organisation):
    invitation = invite(organisation)
    path = path_of(invitation)
    with organisation_scope(organisation.pk):
        Invitation.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert Client().get(path).status_code == 410
    page.post(reverse("accounts:resend", args=[invitation.pk]))
    assert Client().get(path).status_code == 200
    page.post(reverse("accounts:take-back", args=[invitation.pk]))
    assert Client().get(path).status_code == 410


def test_switching_to_a_foreign_organisation_changes_nothing(page, organisation, organisation_b):
    page.post(reverse("accounts:switch"), {"organisation": str(organisation_b.pk)})
    assert page.get("/api/v1/me").json()["organisation"]["id"] == str(organisation.pk)
    gone = page.post(
        reverse("accounts:switch"),
        {"organisation": str(organisation.pk), "next": "https://evil.example/"},
    )
    assert gone["Location"] == "/"


def test_the_last_owner_stays(page, organisation, owner, make_user):
    member = member_of(organisation, owner)
    changed = page.patch(
        f"/api/v1/members/{member.pk}", {"role": "viewer"}, content_type="application/json"
    )
    assert changed.status_code == 409
    on_page = page.post(reverse("accounts:change-role", args=[member.pk]), {"role": "viewer"})
    assert on_page.status_code == 302
    assert member_of(organisation, owner).role == "owner"
    page.post(reverse("accounts:remove", args=[member.pk]), {"confirm": owner.email})
    assert member_of(organisation, owner).role == "owner"
    second = make_user(organisation, role="owner")
    page.post(reverse("accounts:remove", args=[member.pk]), {"confirm": "somebody else"})
    assert member_of(organisation, owner)
    page.post(reverse("accounts:remove", args=[member.pk]), {"confirm": owner.email})
    with organisation_scope(organisation.pk):
        assert [m.user_id for m in Membership.objects.all()] == [second.pk]


def test_last_owner_over_rest_is_a_conflict(organisation, owner, make_key):
    api = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})
    path = f"/api/v1/members/{member_of(organisation, owner).pk}"
    for response in (
        api.patch(path, {"role": "viewer"}, content_type="application/json"),
        api.delete(path),
    ):
        assert response.status_code == 409
        assert response.json()["type"] == "urn:rootstock:problem:last-owner"


def test_nobody_gives_or_takes_more_than_they_have(organisation, owner, make_key, make_user):
    manager_scopes = sorted(ROLE_PERMISSIONS[Role.MANAGER])
    api = Client(
        headers={"Authorization": f"Bearer {make_key(organisation, scopes=manager_scopes)}"}
    )
    viewer = member_of(organisation, make_user(organisation, role="viewer"))
    other_owner = member_of(organisation, make_user(organisation, role="owner"))

    def change(member, role):
        return api.patch(
            f"/api/v1/members/{member.pk}", {"role": role}, content_type="application/json"
        ).status_code

    assert change(viewer, "owner") == 403
    assert change(viewer, "manager") == 200
    assert change(other_owner, "viewer") == 403
    assert api.delete(f"/api/v1/members/{other_owner.pk}").status_code == 403
    invited = api.post(
        "/api/v1/invitations",
        {"email": "x@example.com", "role": "owner"},
        content_type="application/json",
    )
    assert invited.status_code == 403


def test_a_removed_member_is_out_at_once(organisation, page, make_user):
    user = make_user(organisation, role="analyst")
    client = Client()
    client.force_login(user)
    assert client.get("/api/v1/me").status_code == 200
    member = member_of(organisation, user)
    page.post(reverse("accounts:remove", args=[member.pk]), {"confirm": user.email})
    assert client.get("/api/v1/me").status_code == 403


def test_a_viewer_does_not_see_settings(organisation, make_user, client):
    client.force_login(make_user(organisation, role="viewer"))
    for name in ("people", "keys", "organisation"):
        assert client.get(reverse(f"accounts:{name}")).status_code == 403
    assert client.get(reverse("audit:list")).status_code == 403


def test_inviting_twice_and_inviting_a_member(page, organisation, owner):
    form = {"email": "two@example.com", "role": "viewer"}
    assert page.post(reverse("accounts:invite"), form).status_code == 200
    assert page.post(reverse("accounts:invite"), form).status_code == 409
    mine = page.post(reverse("accounts:invite"), {"email": owner.email, "role": "viewer"})
    assert mine.status_code == 422
    assert "member already" in mine.content.decode()


def test_organisation_page(page, organisation):
    form = {
        "name": "Acme Bank", "time_zone": "Asia/Shanghai", "language": "zh-hans", "trend_colours": "red-up",
    }  # fmt: skip
    assert page.post(reverse("accounts:organisation"), form).status_code == 302
    text = page.get(reverse("accounts:organisation")).content.decode()
    assert "Acme Bank" in text
    assert 'class="red-up"' in text
    bad = page.post(reverse("accounts:organisation"), {**form, "time_zone": "Mars/Olympus"})
    assert bad.status_code == 422
    with organisation_scope(organisation.pk):
        entry = AuditEntry.objects.get(action="tenancy.organisation.update")
    assert entry.changes["time_zone"] == ["UTC", "Asia/Shanghai"]


def test_keys_pages(page, organisation):
    made = page.post(
        reverse("accounts:new-key"),
        {"name": "loader", "scopes": ["finance:read"], "expires": "30", "networks": ""},
    )
    text = made.content.decode()
    key = re.search(r"rk_[0-9A-Za-z]+_[0-9A-Za-z]{43}", text)[0]
    assert "no-store" in made["Cache-Control"]
    api = Client(headers={"Authorization": f"Bearer {key}"})
    me = api.get("/api/v1/me").json()
    detail = reverse("accounts:key", args=[me["id"]])
    assert key not in page.get(detail).content.decode()
    assert page.get(reverse("accounts:keys")).content.decode().count("loader") == 1
    changed = page.post(
        detail, {"name": "loader 2", "scopes": ["finance:read", "finance:write"], "networks": "x"}
    )
    assert changed.status_code == 422
    rotated = page.post(reverse("accounts:rotate-key", args=[me["id"]]), {"overlap": "0"})
    assert api.get("/api/v1/me").status_code == 401
    second = re.search(r"rk_[0-9A-Za-z]+_[0-9A-Za-z]{43}", rotated.content.decode())[0]
    api = Client(headers={"Authorization": f"Bearer {second}"})
    assert api.get("/api/v1/me").status_code == 200
    page.post(reverse("accounts:revoke-key", args=[me["id"]]), {"confirm": "wrong"})
    assert api.get("/api/v1/me").status_code == 200
    page.post(reverse("accounts:revoke-key", args=[me["id"]]), {"confirm": "loader"})
    assert api.get("/api/v1/me").status_code == 401
    assert "revoked" in page.get(reverse("accounts:keys")).content.decode().lower()
