"""What the API takes and gives about people, their organisation and its keys."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from rootstock.accounts.models import ApiKey
from rootstock.tenancy.models import Invitation, Membership, Organisation, Role
from rootstock.tenancy.permissions import Permission

SCOPES = [str(permission) for permission in Permission]
MAX_OVERLAP_SECONDS = 30 * 24 * 3600


class OrganisationOutput(serializers.ModelSerializer[Organisation]):
    """The organisation."""

    class Meta:
        model = Organisation
        fields = [
            "id", "name", "slug", "time_zone", "language", "trend_colours", "created_at", "updated_at",
        ]  # fmt: skip


class OrganisationInput(serializers.Serializer[Any]):
    """What can be changed of it."""

    name = serializers.CharField(max_length=120, required=False)
    time_zone = serializers.CharField(
        max_length=64, required=False, help_text="A name of the IANA database."
    )
    language = serializers.ChoiceField(settings.LANGUAGES, required=False)
    trend_colours = serializers.ChoiceField(Organisation.TrendColours.choices, required=False)


class MeOutput(serializers.Serializer[Any]):
    """Who asks, and what they may do."""

    kind = serializers.ChoiceField(["user", "api_key"])
    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    role = serializers.ChoiceField(Role.choices, allow_null=True)
    permissions = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    organisation = OrganisationOutput()


class MemberOutput(serializers.ModelSerializer[Membership]):
    """A person in the organisation."""

    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    last_login = serializers.DateTimeField(source="user.last_login", allow_null=True)

    class Meta:
        model = Membership
        fields = ["id", "email", "name", "role", "last_login", "created_at", "updated_at"]


class MemberInput(serializers.Serializer[Any]):
    """A member's new role."""

    role = serializers.ChoiceField(Role.choices)


class InvitationOutput(serializers.ModelSerializer[Invitation]):
    """An invitation that waits for its answer."""

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "invited_by", "expires_at", "created_at", "updated_at"]


class InvitationInput(serializers.Serializer[Any]):
    """Whom to invite, and as what."""

    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(Role.choices)


class ApiKeyOutput(serializers.ModelSerializer[ApiKey]):
    """A key; its secret is never shown again."""

    scopes = serializers.ListField(child=serializers.CharField())
    networks = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = ApiKey
        fields = [
            "id", "name", "prefix", "scopes", "networks", "created_by", "created_at", "updated_at", "expires_at",
            "previous_expires_at", "revoked_at", "last_used_at",
        ]  # fmt: skip


class NewApiKeyOutput(ApiKeyOutput):
    """A key at the only moment when its text is known."""

    key = serializers.SerializerMethodField(
        help_text="`rk_<prefix>_<secret>`: keep it now, it is shown only once."
    )

    class Meta(ApiKeyOutput.Meta):
        fields = [*ApiKeyOutput.Meta.fields, "key"]

    def get_key(self, row: ApiKey) -> str:
        """The text of the key."""
        return str(self.context["key"])


class ApiKeyInput(serializers.Serializer[Any]):
    """A new key."""

    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(SCOPES), min_length=1, max_length=len(SCOPES)
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    networks = serializers.ListField(
        child=serializers.CharField(max_length=60),
        required=False,
        default=list,
        max_length=50,
        help_text="Addresses or networks it may be used from, such as 203.0.113.0/24; anywhere when empty.",
    )


class ApiKeyChange(serializers.Serializer[Any]):
    """What can be changed of a key."""

    name = serializers.CharField(max_length=80, required=False)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(SCOPES), min_length=1, max_length=len(SCOPES), required=False
    )
    networks = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=50
    )


class ApiKeyRotation(serializers.Serializer[Any]):
    """How the old secret ends."""

    overlap_seconds = serializers.IntegerField(
        min_value=0,
        max_value=MAX_OVERLAP_SECONDS,
        required=False,
        default=0,
        help_text="For how long the old secret stays valid; 0 ends it at once.",
    )
