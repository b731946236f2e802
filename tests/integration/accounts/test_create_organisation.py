"""`manage.py create_organisation` on a fresh installation."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from rootstock.accounts.models import User

pytestmark = pytest.mark.django_db


def create(**options) -> str:
    out = io.StringIO()
    call_command("create_organisation", stdout=out, **options)
    return out.getvalue()


def test_the_owner_gets_in_through_the_printed_link():
    printed = create(name="Acme Bank", owner_email="Owner@Example.com", time_zone="Asia/Shanghai")
    path = re.search(r"https?://[^/]+(/password/\S+)", printed)[1]
    client = Client()
    form = client.get(path, follow=True).redirect_chain[-1][0]
    new = {"new_password1": "battery staple 9", "new_password2": "battery staple 9"}
    assert client.post(form, new).status_code == 302
    signed = client.post(
        "/sign-in/", {"username": "owner@example.com", "password": "battery staple 9"}
    )
    assert signed.status_code == 302
    me = client.get("/api/v1/me").json()
    assert me["role"] == "owner"
    assert me["organisation"]["slug"] == "acme-bank"
    assert me["organisation"]["time_zone"] == "Asia/Shanghai"


def test_a_second_of_the_same_name_gets_another_slug():
    first = create(name="Acme", owner_email="a@example.com")
    second = create(name="Acme", owner_email="a@example.com")
    assert "(acme)" in first
    assert "(acme-" in second
    assert "has an account already" in second
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    "options",
    [
        {"name": "Acme", "owner_email": "nonsense"},
        {"name": " ", "owner_email": "a@example.com"},
        {"name": "Acme", "owner_email": "a@example.com", "time_zone": "Mars/Olympus"},
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_left(options):
    with pytest.raises(CommandError):
        create(**options)
    assert User.objects.count() == 0
