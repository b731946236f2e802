"""Who may call a REST view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from rootstock.common.problems import Problem

if TYPE_CHECKING:
    from rest_framework.views import APIView


class SignedIn(BasePermission):
    """A person or a key, whatever it may do."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """True inside an organisation."""
        return getattr(request, "granted", None) is not None


class HasPermission(BasePermission):
    """The permission that the view names, for the role of the person or the scopes of the key."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Raise 401 without credentials, a 403 that names the missing scope with too few."""
        granted = getattr(request, "granted", None)
        if granted is None:
            return False
        ask = getattr(view, "needed_permission", None)
        needed = ask(request) if ask else None
        if needed is None or needed in granted:
            return True
        raise Problem(403, "missing-permission", f"This needs the permission {needed}.")
