"""Organisations, who belongs to them, and the base of every row that belongs to one."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.common.models import BaseModel
from rootstock.tenancy.scope import current_organisation_id


class Role(models.TextChoices):
    """What a member may do; see `permissions.ROLE_PERMISSIONS`."""

    OWNER = "owner", _("Owner")
    MANAGER = "manager", _("Manager")
    AGENT = "agent", _("Agent")
    ANALYST = "analyst", _("Analyst")
    VIEWER = "viewer", _("Viewer")


class Organisation(BaseModel):
    """A company on this installation: the tenant that owns all other rows."""

    class TrendColours(models.TextChoices):
        """Chinese markets show a rise in red, most others in green."""

        GREEN_UP = "green-up", _("Green is up")
        RED_UP = "red-up", _("Red is up")

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    language = models.CharField(max_length=10, choices=settings.LANGUAGES, default="en")
    trend_colours = models.CharField(
        max_length=10, choices=TrendColours.choices, default=TrendColours.GREEN_UP
    )

    def __str__(self) -> str:
        return self.name


class TenantModel(BaseModel):
    """A row of one organisation, invisible to every other."""

    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
    )
    organisation_id: uuid.UUID

    class Meta:
        abstract = True


class Membership(TenantModel):
    """A person's place in an organisation."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=10, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "user"], name="membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class Invitation(TenantModel):
    """An offer to join, sent by e-mail; only the digest of its token is kept."""

    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices)
    token_digest = models.BinaryField(max_length=32, unique=True)
    invited_by = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "email"],
                condition=models.Q(accepted_at__isnull=True),
                name="invitation_open_once",
            ),
        ]

    def __str__(self) -> str:
        return self.email
