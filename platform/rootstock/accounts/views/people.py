"""Settings, People: members and invitations. And one's own account."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.accounts.forms import InvitationForm, ProfileForm, roles_within
from rootstock.accounts.selectors import invitations_open, member_get, members
from rootstock.accounts.services import (
    invitation_create,
    invitation_link,
    invitation_resend,
    invitation_revoke,
    member_change_role,
    member_remove,
    password_change,
    user_update,
)
from rootstock.accounts.views.sign_in import with_language
from rootstock.common.problems import Problem
from rootstock.tenancy.models import Invitation, Membership, Role
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission
from rootstock.tenancy.requests import PageRequest


def _render_people(
    request: PageRequest, form: InvitationForm | None = None, link: str = "", status: int = 200
) -> HttpResponse:
    granted = request.granted
    context = {
        "members": [
            {
                "row": member,
                "dialog": f"remove-{member.pk}",
                "may_change": Permission.PEOPLE_WRITE in granted
                and ROLE_PERMISSIONS[member.role] <= granted,
                "is_me": member.user_id == request.user.pk,
            }
            for member in members()
        ],
        "invitations": invitations_open(),
        "roles": roles_within(granted),
        "may_write": Permission.PEOPLE_WRITE in granted,
        "form": form or InvitationForm(granted=granted),
        "link": link,
    }
    return render(request, "accounts/people.html", context, status=status)


@requires(Permission.PEOPLE_READ)
@require_GET
def people(request: PageRequest) -> HttpResponse:
    """Who is here, and what may they do?"""
    return _render_people(request)


@requires(Permission.PEOPLE_WRITE)
@require_POST
@never_cache
def invite(request: PageRequest) -> HttpResponse:
    """Invite somebody; the page then shows the link as well, for where no e-mail is set up."""
    form = InvitationForm(request.POST, granted=request.granted)
    if not form.is_valid():
        return _render_people(request, form, status=422)
    try:
        invitation = invitation_create(
            actor=request.actor, granted=request.granted, **form.cleaned_data
        )
    except ValidationError as error:
        form.add_error(None, error)
        return _render_people(request, form, status=422)
    except Problem as problem:
        form.add_error(None, str(problem.detail))
        return _render_people(request, form, status=problem.status_code)
    messages.success(request, _("The invitation is on its way to %s.") % invitation.email)
    return _render_people(request, link=invitation_link(invitation))


def _member(member_id: uuid.UUID) -> Membership:
    member = member_get(member_id)
    if member is None:
        raise Http404
    return member


def _invitation(invitation_id: uuid.UUID) -> Invitation:
    invitation = invitations_open().filter(pk=invitation_id).first()
    if invitation is None:
        raise Http404
    return invitation


@requires(Permission.PEOPLE_WRITE)
@require_POST
def change_role(request: PageRequest, member_id: uuid.UUID) -> HttpResponse:
    """Another role for a member."""
    member = _member(member_id)
    try:
        member_change_role(
            actor=request.actor,
            granted=request.granted,
            membership=member,
            role=request.POST.get("role", ""),
        )
    except Problem as problem:
        messages.error(request, str(problem.detail))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(
            request,
            _("%(person)s is %(role)s now.")
            % {"person": member.user, "role": member.get_role_display()},
        )
    return redirect("accounts:people")


@requires()
@require_POST
def remove(request: PageRequest, member_id: uuid.UUID) -> HttpResponse:
    """Take a member out, confirmed by their address."""
    member = _member(member_id)
    is_me = member.user_id == request.user.pk
    if not is_me and Permission.PEOPLE_WRITE not in request.granted:
        raise Http404
    if request.POST.get("confirm", "").strip() != member.user.email:
        messages.error(request, _("Nothing was changed: the address you typed is another one."))
        return redirect("accounts:people")
    try:
        member_remove(actor=request.actor, granted=request.granted, membership=member)
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("accounts:people")
    messages.success(request, _("%s no longer belongs to the organisation.") % member.user)
    return redirect("/" if is_me else "accounts:people")


@requires(Permission.PEOPLE_WRITE)
@require_POST
@never_cache
def resend(request: PageRequest, invitation_id: uuid.UUID) -> HttpResponse:
    """Send an invitation again."""
    try:
        invitation = invitation_resend(
            actor=request.actor, granted=request.granted, invitation=_invitation(invitation_id)
        )
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("accounts:people")
    messages.success(request, _("The invitation is on its way to %s.") % invitation.email)
    return _render_people(request, link=invitation_link(invitation))


@requires(Permission.PEOPLE_WRITE)
@require_POST
def take_back(request: PageRequest, invitation_id: uuid.UUID) -> HttpResponse:
    """Take an invitation back."""
    invitation = _invitation(invitation_id)
    invitation_revoke(actor=request.actor, invitation=invitation)
    messages.success(request, _("The invitation of %s no longer works.") % invitation.email)
    return redirect("accounts:people")


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def profile(request: PageRequest) -> HttpResponse:
    """One's own name, language and password."""
    user: Any = request.user
    asked = request.POST.get("form", "")
    profile_form = ProfileForm(
        request.POST if asked == "profile" else None,
        initial={"name": user.name, "language": user.language},
    )
    password_form = PasswordChangeForm(user, request.POST if asked == "password" else None)
    password_form.fields["old_password"].widget.attrs.pop("autofocus", None)
    if asked == "profile" and profile_form.is_valid():
        user_update(user=user, **profile_form.cleaned_data)
        messages.success(request, _("Saved."))
        return with_language(redirect("accounts:profile"), user.language)
    if asked == "password" and password_form.is_valid():
        password_change(user=user, password=password_form.cleaned_data["new_password1"])
        update_session_auth_hash(request, user)
        messages.success(request, _("Your password is changed. Your other sessions have ended."))
        return redirect("accounts:profile")
    status = 422 if request.method == "POST" else 200
    context = {
        "profile_form": profile_form,
        "password_form": password_form,
        "memberships": [
            {**row, "role_label": Role(row["role"]).label} for row in request.memberships
        ],
    }
    return render(request, "accounts/profile.html", context, status=status)
