"""Signing in and out, the reset of a forgotten password, and joining by an invitation."""

from __future__ import annotations

import math
import uuid
from datetime import datetime, timedelta
from typing import Any

from axes.helpers import get_client_username, get_cool_off
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, views
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from kombu.exceptions import OperationalError as BrokerError

from rootstock.accounts.forms import JoinForm, ResetForm, SignInForm
from rootstock.accounts.middleware import SESSION_KEY
from rootstock.accounts.models import User
from rootstock.accounts.services import (
    InvitationProblem,
    invitation_accept,
    invitation_find,
    password_set,
    sign_in_record,
)
from rootstock.accounts.tasks import send_password_reset
from rootstock.common.middleware import current_client_ip
from rootstock.common.throttling import count
from rootstock.tenancy.rls import call_lookup

BACKEND = "django.contrib.auth.backends.ModelBackend"
SIGN_INS_A_MINUTE = 30
RESETS_AN_HOUR = 10
JOINS_AN_HOUR = 60


def too_many(request: HttpRequest, until: datetime) -> HttpResponse:
    """A page that says when to try again."""
    wait = max(1, math.ceil((until - timezone.now()).total_seconds()))
    context = {"until": until, "minutes": math.ceil(wait / 60)}
    response = render(request, "accounts/locked.html", context, status=429)
    response["Retry-After"] = str(wait)
    return response


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """django-axes: this address has failed too often with this e-mail."""
    cool_off = get_cool_off(request) or timedelta(0)
    last = (
        AccessAttempt.objects.filter(
            username=get_client_username(request, credentials), ip_address=current_client_ip()
        )
        .order_by("-attempt_time")
        .first()
    )
    return too_many(request, (last.attempt_time if last else timezone.now()) + cool_off)


def _limited(request: HttpRequest, name: str, limit: int, seconds: int) -> HttpResponse | None:
    left, wait = count(f"{name}:{current_client_ip()}", limit=limit, seconds=seconds)
    return too_many(request, timezone.now() + timedelta(seconds=wait)) if left < 0 else None


class SignIn(views.LoginView):
    """E-mail and password."""

    template_name = "accounts/sign_in.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Look at them, unless this address has tried too many."""
        limited = _limited(request, "sign-in", SIGN_INS_A_MINUTE, 60)
        return limited or super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Sign in: the session gets a new id, the pages the person's language."""
        response = super().form_valid(form)
        user: User = form.get_user()
        sign_in_record(user=user)
        return with_language(response, user.language)


def with_language(response: HttpResponse, language: str) -> HttpResponse:
    """Have the pages speak a person's language from now on."""
    if language:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            max_age=365 * 24 * 3600,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
    return response


@never_cache
@require_http_methods(["GET", "POST"])
def reset(request: HttpRequest) -> HttpResponseBase:
    """Ask for a reset link. The answer is the same whether somebody has the address or not."""
    form = ResetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        limited = _limited(request, "reset", RESETS_AN_HOUR, 3600)
        if limited is not None:
            return limited
        email = form.cleaned_data["email"].lower()
        left, _wait = count(f"reset-to:{email}", limit=RESETS_AN_HOUR, seconds=3600)
        try:
            # For every address, so that the time of the answer tells nothing either.
            if left >= 0:
                send_password_reset.delay(email)
        except (BrokerError, OSError):
            form.add_error(None, _("E-mails cannot be sent at the moment. Try again in a minute."))
        else:
            return redirect("accounts:reset-sent")
    return render(request, "accounts/reset.html", {"form": form})


@require_GET
def reset_sent(request: HttpRequest) -> HttpResponse:
    """What happens next."""
    return render(request, "accounts/reset_sent.html")


class ResetConfirm(views.PasswordResetConfirmView):
    """Choose a new password, through the link of the e-mail."""

    template_name = "accounts/reset_confirm.html"
    success_url = reverse_lazy("accounts:sign-in")

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A damaged link is one that no longer works, not an error."""
        try:
            return super().dispatch(*args, **kwargs)
        except (SuspiciousOperation, ValueError):
            return self.render_to_response({"form": None, "validlink": False})

    def form_valid(self, form: Any) -> HttpResponse:
        """Set it; the link is used up and every session of the person ends."""
        user: Any = self.user
        password_set(user=user, password=form.cleaned_data["new_password1"])
        self.request.session.pop("_password_reset_token", None)
        messages.success(self.request, _("Your password is set. Sign in with it."))
        return redirect(self.get_success_url())


@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Go on in another of one's organisations."""
    if not request.user.is_authenticated:
        return redirect("accounts:sign-in")
    wanted = request.POST.get("organisation", "")
    for row in call_lookup("memberships_of", request.user.pk):
        if str(row["organisation_id"]) == wanted:
            request.session[SESSION_KEY] = wanted
            messages.success(request, _("You are in %s now.") % row["name"])
            break
    else:
        messages.error(request, _("You do not belong to this organisation (any more)."))
    goal = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(goal, {request.get_host()}, request.is_secure()):
        goal = "/"
    return redirect(goal)


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponseBase:
    """Join an organisation: signed in, after signing in, or as a new person."""
    limited = _limited(request, "join", JOINS_AN_HOUR, 3600)
    if limited is not None:
        return limited
    found = invitation_find(token)
    if found is None:
        return render(request, "accounts/invitation_gone.html", status=410)
    signed_in = request.user if isinstance(request.user, User) else None
    known = User.objects.filter(email=found["email"]).exists()
    context: dict[str, Any] = {"found": found, "known": known, "token": token}
    if signed_in is not None and signed_in.email != found["email"]:
        return render(request, "accounts/invitation_other.html", context)
    form = None
    if signed_in is None:
        if known:
            return redirect(f"{reverse('accounts:sign-in')}?next={request.path}")
        form = JoinForm(request.POST or None, email=found["email"])
    if request.method == "POST" and (form is None or form.is_valid()):
        return _join(request, token, signed_in, form, found["organisation_id"])
    return render(request, "accounts/invitation.html", {**context, "form": form})


def _join(
    request: HttpRequest,
    token: str,
    user: User | None,
    form: JoinForm | None,
    organisation_id: uuid.UUID,
) -> HttpResponse:
    fields = form.cleaned_data if form is not None else {}
    try:
        user, membership = invitation_accept(token=token, user=user, **fields)
    except InvitationProblem as problem:
        if problem.code == "gone":
            return render(request, "accounts/invitation_gone.html", status=410)
        return redirect(f"{reverse('accounts:sign-in')}?next={request.path}")
    if form is not None:
        login(request, user, backend=BACKEND)
    request.session[SESSION_KEY] = str(membership.organisation_id)
    messages.success(request, _("Welcome. You are in."))
    return redirect("/")
