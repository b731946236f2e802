"""Puts every request of a person or a key inside its organisation."""

from __future__ import annotations

import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve
from django.utils import timezone

from rootstock.accounts.authentication import KeyRefused, bearer_token, key_find
from rootstock.accounts.models import ApiKey
from rootstock.accounts.services.api_keys import api_key_note_use
from rootstock.common.actors import Actor
from rootstock.common.problems import is_api, problem_response
from rootstock.tenancy.models import Membership, Organisation
from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

SESSION_KEY = "organisation_id"
# Pages about a person rather than an organisation; they run outside any scope.
OUTSIDE = {
    "accounts:sign-in",
    "accounts:sign-out",
    "accounts:switch",
    "accounts:invitation",
    "accounts:reset",
    "accounts:reset-sent",
    "accounts:reset-confirm",
    "web:catalogue",
}
# Namespaces of addresses that anybody calls from anywhere: neither session nor key decides anything there.
PUBLIC = {"widget", "finance-hooks"}


class OrganisationMiddleware:
    """One transaction of one organisation around the view.

    Sets `organisation`, `membership`, `api_key`, `actor` and `granted` (a set of permissions, None without
    credentials) on the request. What a view has written is kept only when it answers below 500 and raises nothing:
    an error that is raised, a "not found" included, takes everything back.

    A streamed body is sent after the scope has ended and must open its own (`rootstock.tenancy.streaming`).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer inside the scope, or outside any when nobody is signed in."""
        for name in ("organisation", "membership", "api_key", "actor", "granted"):
            setattr(request, name, None)
        if _is_public(request):
            return self.get_response(request)
        if is_api(request) and (token := bearer_token(request)) is not None:
            return self._with_key(request, token)
        if not request.user.is_authenticated or _view_name(request) in OUTSIDE:
            return self.get_response(request)
        organisation_id = self._chosen_organisation(request)
        if organisation_id is None:
            return self.get_response(request)
        with organisation_scope(organisation_id):
            membership = (
                Membership.objects.select_related("organisation").filter(user=request.user).first()
            )
            if membership is not None:  # they may have been removed this very moment
                request.membership = membership  # type: ignore[attr-defined]
                request.organisation = membership.organisation  # type: ignore[attr-defined]
                request.granted = ROLE_PERMISSIONS[membership.role]  # type: ignore[attr-defined]
                request.actor = Actor("user", str(request.user.pk), str(request.user))  # type: ignore[attr-defined]
                return self._within(request, membership.organisation)
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Tell a person who belongs to no organisation, whatever page they ask for."""
        if is_api(request) or _is_public(request):
            return None
        if not request.user.is_authenticated or request.granted is not None:  # type: ignore[attr-defined]
            return None
        name = _view_name(request)
        if ":" not in name or name in OUTSIDE:
            return None
        return render(request, "accounts/no_organisation.html", status=403)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """A view that raises leaves nothing behind, whatever status the error becomes."""
        request.view_raised = True  # type: ignore[attr-defined]

    def _with_key(self, request: HttpRequest, token: str) -> HttpResponse:
        try:
            found = key_find(token, request)
        except KeyRefused as refusal:
            return problem_response(
                401,
                refusal.code,
                refusal.detail,
                headers={"WWW-Authenticate": 'Bearer realm="rootstock", error="invalid_token"'},
            )
        # A transaction of its own: the row must not stay locked, and the note not be undone, with the request.
        with organisation_scope(found.organisation_id):
            api_key_note_use(found.id, last_used_at=found.last_used_at, renew=found.renew)
        with organisation_scope(found.organisation_id):
            key = ApiKey.objects.get(pk=found.id)
            organisation = Organisation.objects.get(pk=found.organisation_id)
            request.api_key = key  # type: ignore[attr-defined]
            request.organisation = organisation  # type: ignore[attr-defined]
            request.granted = frozenset(p for p in Permission if p in key.scopes)  # type: ignore[attr-defined]
            request.actor = Actor("api_key", str(key.pk), str(key))  # type: ignore[attr-defined]
            return self._within(request, organisation)

    def _within(self, request: HttpRequest, organisation: Organisation) -> HttpResponse:
        with timezone.override(zoneinfo.ZoneInfo(organisation.time_zone)):
            response = self.get_response(request)
        if response.status_code >= 500 or getattr(request, "view_raised", False):
            transaction.set_rollback(True)
        return response

    def _chosen_organisation(self, request: HttpRequest) -> uuid.UUID | None:
        """The session's organisation while the person belongs to it, else the first they belong to."""
        rows = call_lookup("memberships_of", request.user.pk)
        request.memberships = rows  # type: ignore[attr-defined]
        if not rows:
            return None
        ids: list[uuid.UUID] = [row["organisation_id"] for row in rows]
        chosen = request.session.get(SESSION_KEY)
        organisation_id = next((i for i in ids if str(i) == chosen), ids[0])
        if str(organisation_id) != chosen:
            request.session[SESSION_KEY] = str(organisation_id)
        return organisation_id


def _is_public(request: HttpRequest) -> bool:
    return _view_name(request).partition(":")[0] in PUBLIC


def _view_name(request: HttpRequest) -> str:
    try:
        return resolve(request.path_info).view_name
    except Resolver404:
        return ""
