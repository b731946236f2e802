"""Permissions in words, for people who choose scopes."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.permissions import Permission

__all__ = ["PERMISSION_LABELS", "scope_choices"]

PERMISSION_LABELS: dict[str, str | Promise] = {
    Permission.SERVICE_READ: _("Customer service: read conversations, knowledge and insights"),
    Permission.SERVICE_REPLY: _("Customer service: take and answer conversations"),
    Permission.SERVICE_WRITE: _("Customer service: change knowledge, flows, channels and settings"),
    Permission.FINANCE_READ: _("Public opinion: read headlines, trends and alerts"),
    Permission.FINANCE_WRITE: _("Public opinion: send headlines, acknowledge alerts, change rules"),
    Permission.MODELS_READ: _("Models: read data sets, runs, versions and deployments"),
    Permission.MODELS_WRITE: _("Models: add data, train, promote and roll back"),
    Permission.MODELS_PREDICT: _("Models: ask them for predictions, vectors and replies"),
    Permission.JOBS_READ: _("Jobs: see progress and logs"),
    Permission.JOBS_WRITE: _("Jobs: start and cancel"),
    Permission.PEOPLE_READ: _("People: see members and invitations"),
    Permission.PEOPLE_WRITE: _("People: invite, change roles, remove"),
    Permission.KEYS_WRITE: _("API keys: see, make, rotate and revoke"),
    Permission.WEBHOOKS_READ: _("Webhooks: see endpoints and deliveries"),
    Permission.WEBHOOKS_WRITE: _("Webhooks: add, change and replay"),
    Permission.AUDIT_READ: _("Audit: read the log"),
    Permission.ORGANISATION_WRITE: _("Organisation: change name, time zone, language and colours"),
}


def scope_choices(granted: Collection[str]) -> list[tuple[str, str | Promise]]:
    """(scope, words) of everything that whoever has `granted` may give."""
    return [(str(p), PERMISSION_LABELS[p]) for p in Permission if p in granted]
