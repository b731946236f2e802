"""Settings: the organisation, and its API keys."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings as django_settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.accounts.forms import ApiKeyForm, NewApiKeyForm, OrganisationForm
from rootstock.accounts.labels import PERMISSION_LABELS
from rootstock.accounts.models import ApiKey
from rootstock.accounts.selectors import api_keys
from rootstock.accounts.services import (
    api_key_create,
    api_key_revoke,
    api_key_rotate,
    api_key_update,
    organisation_update,
)
from rootstock.common.problems import Problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

OVERLAPS = [
    (0, gettext_lazy("at once")),
    (3600, gettext_lazy("in an hour")),
    (24 * 3600, gettext_lazy("in a day")),
    (7 * 24 * 3600, gettext_lazy("in 7 days")),
]


@requires(Permission.ORGANISATION_WRITE)
@require_http_methods(["GET", "POST"])
def organisation(request: PageRequest) -> HttpResponse:
    """What is this organisation called, and how are times and trends shown in it?"""
    current = request.organisation
    names = list(OrganisationForm.base_fields)
    form = OrganisationForm(
        request.POST or None, initial={name: getattr(current, name) for name in names}
    )
    if request.method == "POST" and form.is_valid():
        organisation_update(actor=request.actor, organisation=current, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("accounts:organisation")
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/organisation.html", {"form": form}, status=status)


@requires(Permission.KEYS_WRITE)
@require_GET
def keys(request: PageRequest) -> HttpResponse:
    """Which programs can get in, what may they do, and are they still used?"""
    context = {"keys": api_keys(usable=True), "ended": api_keys(usable=False)[:100]}
    return render(request, "accounts/keys.html", context)


@requires(Permission.KEYS_WRITE)
@never_cache
@require_http_methods(["GET", "POST"])
def new_key(request: PageRequest) -> HttpResponse:
    """Make a key; the answer shows its text, once."""
    form = NewApiKeyForm(request.POST or None, granted=request.granted)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            key, text = api_key_create(
                actor=request.actor,
                granted=request.granted,
                name=data["name"],
                scopes=data["scopes"],
                networks=data["networks"],
                expires_at=form.expires_at(),
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return _shown_once(request, key, text)
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/key_new.html", {"form": form}, status=status)


def _shown_once(request: PageRequest, key: ApiKey, text: str) -> HttpResponse:
    context = {"key": key, "text": text, "url": django_settings.ROOTSTOCK_URL}
    return render(request, "accounts/key_shown.html", context)


def _key(key_id: uuid.UUID) -> ApiKey:
    key = api_keys().filter(pk=key_id).first()
    if key is None:
        raise Http404
    return key


@requires(Permission.KEYS_WRITE)
@require_http_methods(["GET", "POST"])
def key(request: PageRequest, key_id: uuid.UUID) -> HttpResponse:
    """One key: change it, rotate it, revoke it."""
    row = _key(key_id)
    # A scope that the key has stays to be chosen, also by somebody who could not give it anew.
    granted = set(request.granted) | set(row.scopes)
    form = ApiKeyForm(
        request.POST or None,
        granted=granted,
        initial={"name": row.name, "scopes": row.scopes, "networks": "\n".join(row.networks)},
    )
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                api_key_update(
                    actor=request.actor, granted=request.granted, key=row, **form.cleaned_data
                )
            except ValidationError as error:
                form.add_error(None, error)
            except Problem as problem:
                form.add_error(None, str(problem.detail))
            else:
                messages.success(request, _("Saved."))
                return redirect("accounts:keys")
    context = {
        "key": row,
        "form": form,
        "overlaps": OVERLAPS,
        "scopes": [PERMISSION_LABELS.get(scope, scope) for scope in row.scopes],
        "may_rotate": set(row.scopes) <= set(request.granted),
    }
    return render(request, "accounts/key.html", context, status=status)


@requires(Permission.KEYS_WRITE)
@never_cache
@require_POST
def rotate_key(request: PageRequest, key_id: uuid.UUID) -> HttpResponse:
    """A new secret, shown once."""
    row = _key(key_id)
    overlap = request.POST.get("overlap", "0")
    seconds = int(overlap) if overlap in {str(value) for value, _label in OVERLAPS} else 0
    try:
        text = api_key_rotate(
            actor=request.actor,
            granted=request.granted,
            key=row,
            overlap=timedelta(seconds=seconds),
        )
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("accounts:key", key_id=key_id)
    return _shown_once(request, row, text)


@requires(Permission.KEYS_WRITE)
@require_POST
def revoke_key(request: PageRequest, key_id: uuid.UUID) -> HttpResponse:
    """End a key, confirmed by its name."""
    row = _key(key_id)
    if request.POST.get("confirm", "").strip() != row.name:
        messages.error(request, _("Nothing was changed: the name you typed is another one."))
        return redirect("accounts:key", key_id=key_id)
    api_key_revoke(actor=request.actor, key=row)
    messages.success(request, _("The key “%s” no longer works.") % row.name)
    return redirect("accounts:keys")
