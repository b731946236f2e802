"""Signing in and out, lockout, password reset, profile."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from rootstock.accounts.models import User
from rootstock.accounts.services import password_reset_link, password_reset_send
from rootstock.accounts.views import sign_in
from rootstock.audit.models import AuditEntry
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def user(organisation, make_user):
    return make_user(organisation, email="ann@example.com")


def attempt(client: Client, email: str, password: str, **extra):
    return client.post(
        reverse("accounts:sign-in"), {"username": email, "password": password, **extra}
    )


def test_sign_in_gives_a_new_session_and_is_in_the_log(
    client, user, organisation, django_capture_on_commit_callbacks
):
    client.get(reverse("accounts:sign-in"))
    client.session["x"] = 1
    before = client.session.session_key
    with django_capture_on_commit_callbacks(execute=True):
        response = attempt(client, "Ann@Example.com", PASSWORD, next="/settings/keys/")
    assert response.status_code == 302
    assert response["Location"] == "/settings/keys/"
    assert client.session.session_key != before
    with organisation_scope(organisation.pk):
        assert AuditEntry.objects.filter(action="accounts.sign_in").count() == 1


def test_sign_in_does_not_lead_away(client, user):
    response = attempt(client, user.email, PASSWORD, next="https://evil.example/")
    assert response["Location"] == "/"


def test_five_failures_lock_the_address_and_say_until_when(client, user):
    for _ in range(4):
        response = attempt(client, user.email, "wrong")
        assert response.status_code == 200
        assert "do not match" in response.content.decode()
    locked = attempt(client, "ANN@example.com", "wrong")
    assert locked.status_code == 429
    assert 0 < int(locked["Retry-After"]) <= 15 * 60
    text = locked.content.decode()
    assert "<time" in text
    assert "minutes" in text
    # The right password does not open it either, and the time does not move.
    again = attempt(client, user.email, PASSWORD)
    assert again.status_code == 429
    assert int(again["Retry-After"]) <= int(locked["Retry-After"])
    # Somebody else, and the same person from elsewhere, get in.
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    assert attempt(elsewhere, user.email, PASSWORD).status_code == 302


def test_an_unknown_address_is_locked_in_the_same_way(client, db):
    answers = [attempt(client, "nobody@example.com", "wrong").status_code for _ in range(5)]
    assert answers == [200, 200, 200, 200, 429]


def test_one_address_cannot_try_many_people(client, db, monkeypatch):
    monkeypatch.setattr(sign_in, "SIGN_INS_A_MINUTE", 3)
    answers = [attempt(client, f"p{n}@example.com", "wrong").status_code for n in range(4)]
    assert answers == [200, 200, 200, 429]


def test_sign_out_needs_a_post(client, user):
    client.force_login(user)
    assert client.get(reverse("accounts:sign-out")).status_code == 405
    assert client.post(reverse("accounts:sign-out")).status_code == 302
    assert client.get(reverse("accounts:people")).status_code == 302


def test_a_reset_tells_nothing_about_who_is_here(client, user, monkeypatch):
    asked = []
    monkeypatch.setattr(sign_in.send_password_reset, "delay", asked.append)
    for email in (user.email, "nobody@example.com"):
        response = client.post(reverse("accounts:reset"), {"email": email})
        assert response.status_code == 302
        assert response["Location"] == reverse("accounts:reset-sent")
    assert asked == [user.email, "nobody@example.com"]
    password_reset_send(email="nobody@example.com")
    assert mail.outbox == []


def test_a_reset_link_works_once(client, user):
    password_reset_send(email="ANN@example.com ")
    (letter,) = mail.outbox
    assert letter.to == [user.email]
    path = re.search(r"https?://[^/]+(/\S+)", letter.body)[1]
    page = client.get(path, follow=True)
    assert page.context["validlink"]
    form_path = page.redirect_chain[-1][0]
    assert user.email not in form_path
    weak = client.post(form_path, {"new_password1": "short", "new_password2": "short"})
    assert weak.status_code == 200
    new = {"new_password1": "battery staple 9", "new_password2": "battery staple 9"}
    assert client.post(form_path, new).status_code == 302
    assert attempt(Client(), user.email, "battery staple 9").status_code == 302
    assert attempt(Client(), user.email, PASSWORD).status_code == 200
    assert not Client().get(path, follow=True).context["validlink"]


@pytest.mark.parametrize(
    "path", ["/password/xx/yy-zz/", "/password/%00/set-password/", "/password/MQ/a/"]
)
def test_a_damaged_reset_link_says_so(client, db, path):
    response = client.get(path, follow=True)
    assert response.status_code == 200
    assert "no longer works" in response.content.decode()


def test_a_reset_works_while_somebody_else_is_signed_in(client, user, organisation_b, make_user):
    client.force_login(make_user(organisation_b))
    path = re.sub(r"^https?://[^/]+", "", password_reset_link(user))
    page = client.get(path, follow=True)
    new = {"new_password1": "battery staple 9", "new_password2": "battery staple 9"}
    assert client.post(page.redirect_chain[-1][0], new).status_code == 302


def test_a_changed_password_ends_the_other_sessions(user):
    here, there = Client(), Client()
    for client in (here, there):
        client.force_login(user)
    response = here.post(
        reverse("accounts:profile"),
        {
            "form": "password",
            "old_password": PASSWORD,
            "new_password1": "battery staple 9",
            "new_password2": "battery staple 9",
        },
    )
    assert response.status_code == 302, response.content.decode()
    assert here.get(reverse("accounts:profile")).status_code == 200
    assert there.get(reverse("accounts:profile")).status_code == 302


def test_the_profile_changes_name_and_language(client, user):
    client.force_login(user)
    form = {"form": "profile", "name": "Ann Lee", "language": "zh-hans"}
    response = client.post(reverse("accounts:profile"), form)
    assert response.status_code == 302
    assert response.cookies["django_language"].value == "zh-hans"
    assert User.objects.get(pk=user.pk).name == "Ann Lee"
    bad = client.post(reverse("accounts:profile"), {**form, "language": "tlh"})
    assert bad.status_code == 422


def test_a_person_without_an_organisation_is_told(client, db):
    client.force_login(User.objects.create_user("lone@example.com", PASSWORD))
    response = client.get(reverse("accounts:people"))
    assert response.status_code == 403
    assert "lone@example.com" in response.content.decode()
    rest = client.get("/api/v1/me")
    assert rest.status_code == 403
    assert rest["Content-Type"].startswith("application/problem+json")
