"""Puts every request of a person or a key inside its organisation."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from rootstock.common.actors import Actor
from rootstock.tenancy.models import Membership
from rootstock.tenancy.permissions import ROLE_PERMISSIONS
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

SESSION_KEY = "organisation_id"


class OrganisationMiddleware:
    """One transaction of one organisation around the view.

    Sets `organisation`, `membership`, `api_key`, `actor` and `granted` (a set of permissions, None without credentials)
    on the request. A response of 500 and above rolls everything back.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer inside the scope, or outside any when nobody is signed in."""
        request.organisation = None  # type: ignore[attr-defined]
        request.membership = None  # type: ignore[attr-defined]
        request.api_key = None  # type: ignore[attr-defined]
        request.actor = None  # type: ignore[attr-defined]
        request.granted = None  # type: ignore[attr-defined]
        if request.headers.get("Authorization", "").startswith("Bearer "):
            from rootstock.accounts.authentication import enter_with_key

            return enter_with_key(request, self._within)
        if not request.user.is_authenticated:
            return self.get_response(request)
        organisation_id = self._chosen_organisation(request)
        if organisation_id is None:
            return self.get_response(request)
        with organisation_scope(organisation_id):
            membership = Membership.objects.select_related("organisation").get(user=request.user)
            request.membership = membership  # type: ignore[attr-defined]
            request.organisation = membership.organisation  # type: ignore[attr-defined]
            request.granted = ROLE_PERMISSIONS[membership.role]  # type: ignore[attr-defined]
            request.actor = Actor("user", str(request.user.pk), str(request.user))  # type: ignore[attr-defined]
            return self._within(request)

    def _within(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code >= 500:
            transaction.set_rollback(True)
        return response

    def _chosen_organisation(self, request: HttpRequest) -> uuid.UUID | None:
        """The session's organisation while the person belongs to it, else the first they belong to."""
        rows = call_lookup("memberships_of", request.user.pk)
        if not rows:
            return None
        ids = [row["organisation_id"] for row in rows]
        chosen = request.session.get(SESSION_KEY)
        organisation_id = next((i for i in ids if str(i) == chosen), ids[0])
        if str(organisation_id) != chosen:
            request.session[SESSION_KEY] = str(organisation_id)
        return organisation_id
