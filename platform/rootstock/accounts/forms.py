"""Forms of the pages about people, the organisation and its keys."""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import (
    password_validators_help_texts,
    validate_password,
)
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from rootstock.accounts.labels import scope_choices
from rootstock.accounts.models import User
from rootstock.tenancy.models import Organisation, Role
from rootstock.tenancy.permissions import ROLE_PERMISSIONS

__all__ = [
    "ApiKeyForm",
    "InvitationForm",
    "JoinForm",
    "NewApiKeyForm",
    "OrganisationForm",
    "ProfileForm",
    "ResetForm",
    "SignInForm",
    "roles_within",
]


def roles_within(granted: Collection[str]) -> list[tuple[str, str]]:
    """Roles that whoever has `granted` may give, the most powerful first."""
    return [
        (role.value, str(role.label)) for role in Role if ROLE_PERMISSIONS[role] <= set(granted)
    ]


class SignInForm(AuthenticationForm):
    """E-mail and password."""

    error_messages = {
        "invalid_login": _("E-mail and password do not match. Check both, or set a new password."),
        "inactive": _("This account is switched off. Ask your administrator."),
    }

    def __init__(self, request: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["username"] = forms.EmailField(
            label=_("E-mail"),
            widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
        )

    def clean_username(self) -> str:
        """One person, one counter of failures: the case of the address does not matter."""
        return str(self.cleaned_data["username"]).strip().lower()


class ResetForm(forms.Form):
    """The address that the reset link is sent to."""

    email = forms.EmailField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )


class JoinForm(forms.Form):
    """A new person who accepts an invitation."""

    name = forms.CharField(
        label=_("Your name"),
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "name", "autofocus": True}),
    )
    password = forms.CharField(
        label=_("Choose a password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=lazy(lambda: " ".join(password_validators_help_texts()), str)(),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean(self) -> dict[str, Any]:
        """The password fits the rules for this person."""
        data: dict[str, Any] = super().clean() or {}
        if "password" in data:
            user = User(email=self.email, name=data.get("name", ""))
            try:
                validate_password(data["password"], user)
            except forms.ValidationError as error:
                self.add_error("password", error)
        return data


class ProfileForm(forms.Form):
    """A person's own name and language."""

    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    language = forms.ChoiceField(
        label=_("Language"),
        required=False,
        choices=[("", _("As the browser asks")), *settings.LANGUAGES],
    )


class InvitationForm(forms.Form):
    """Whom to invite, and as what."""

    email = forms.EmailField(label=_("E-mail"), max_length=254)
    role = forms.ChoiceField(label=_("Role"))

    def __init__(self, *args: Any, granted: Collection[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = roles_within(granted)  # type: ignore[attr-defined]
        self.fields["role"].initial = Role.VIEWER


class OrganisationForm(forms.Form):
    """What can be changed of the organisation."""

    name = forms.CharField(label=_("Name"), max_length=120)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        help_text=_("All times are shown in it."),
        choices=lambda: [(name, name) for name in sorted(zoneinfo.available_timezones())],
    )
    language = forms.ChoiceField(
        label=_("Language"),
        choices=settings.LANGUAGES,
        help_text=_("Of e-mails and reports; everybody chooses their own for the pages."),
    )
    trend_colours = forms.ChoiceField(
        label=_("Colours of a trend"),
        choices=Organisation.TrendColours.choices,
        widget=forms.RadioSelect,
    )


class ApiKeyForm(forms.Form):
    """What can be changed of a key."""

    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("What will use it, such as “news loader”.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), widget=forms.CheckboxSelectMultiple
    )
    networks = forms.CharField(
        label=_("Only from these networks"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "203.0.113.0/24"}),
        help_text=_("Addresses or networks, one a line. Empty: from anywhere."),
    )

    def __init__(self, *args: Any, granted: Collection[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].choices = scope_choices(granted)  # type: ignore[attr-defined]

    def clean_networks(self) -> list[str]:
        """One for each line or word; the service looks at each."""
        return str(self.cleaned_data["networks"]).replace(",", " ").split()


class NewApiKeyForm(ApiKeyForm):
    """A new key, with an end."""

    field_order = ["name", "scopes", "expires", "networks"]

    expires = forms.ChoiceField(
        label=_("Valid for"),
        choices=[
            ("30", _("30 days")),
            ("90", _("90 days")),
            ("365", _("a year")),
            ("", _("until it is revoked")),
        ],
        initial="90",
        required=False,
    )

    def expires_at(self) -> datetime | None:
        """When the key ends, None for one that stays."""
        days = self.cleaned_data["expires"]
        return timezone.now() + timedelta(days=int(days)) if days else None
