"""Who may open a page."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from rootstock.tenancy.permissions import Permission

__all__ = ["RequiresMixin", "requires"]

View = Callable[..., HttpResponseBase]


def requires(permission: Permission | None = None) -> Callable[[View], View]:
    """Let in members of the organisation who have the permission (all of them when None).

    Others are sent to the sign-in page, or get the page that says that their role does not include it.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return _refusal(request, permission) or view(request, *args, **kwargs)

        return guarded

    return decorate


class RequiresMixin:
    """The same for a class-based view: `permission = Permission.PEOPLE_READ`."""

    permission: Permission | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let in, or refuse."""
        refused = _refusal(request, self.permission)
        if refused is not None:
            return refused
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        return response


def _refusal(request: HttpRequest, permission: Permission | None) -> HttpResponseBase | None:
    granted = getattr(request, "granted", None)
    if not request.user.is_authenticated or granted is None:
        return redirect_to_login(request.get_full_path())
    if permission is not None and permission not in granted:
        raise PermissionDenied(f"this needs the permission {permission}")
    return None
