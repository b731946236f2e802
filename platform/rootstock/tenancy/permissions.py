"""What may be done, and which role may do it. An API key's scopes are the same words."""

from __future__ import annotations

from enum import StrEnum

from rootstock.tenancy.models import Role


class Permission(StrEnum):
    """One right; `area:read` sees, `area:write` changes."""

    SERVICE_READ = "service:read"
    SERVICE_REPLY = "service:reply"
    SERVICE_WRITE = "service:write"
    FINANCE_READ = "finance:read"
    FINANCE_WRITE = "finance:write"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    MODELS_PREDICT = "models:predict"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    PEOPLE_READ = "people:read"
    PEOPLE_WRITE = "people:write"
    KEYS_WRITE = "keys:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    ORGANISATION_WRITE = "organisation:write"


_VIEWER = frozenset(
    {
        Permission.SERVICE_READ,
        Permission.FINANCE_READ,
        Permission.MODELS_READ,
        Permission.JOBS_READ,
    }
)
_AGENT = _VIEWER | {Permission.SERVICE_REPLY, Permission.PEOPLE_READ, Permission.MODELS_PREDICT}
_ANALYST = _AGENT | {
    Permission.SERVICE_WRITE,
    Permission.FINANCE_WRITE,
    Permission.MODELS_WRITE,
    Permission.JOBS_WRITE,
}
_MANAGER = _ANALYST | {
    Permission.PEOPLE_WRITE,
    Permission.KEYS_WRITE,
    Permission.WEBHOOKS_READ,
    Permission.WEBHOOKS_WRITE,
    Permission.AUDIT_READ,
}

ROLE_PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.AGENT: _AGENT,
    Role.ANALYST: _ANALYST,
    Role.MANAGER: _MANAGER,
    Role.OWNER: frozenset(Permission),
}
