"""The standard set of REST tests for everything accounts and audit offer."""

from __future__ import annotations

from rootstock.accounts.models import User
from rootstock.accounts.services import api_key_create, invitation_create
from rootstock.audit.models import AuditEntry
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM
from rootstock.common.ids import uuid7
from rootstock.tenancy.models import Membership, Role
from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission
from tests.api_cases import AccessCases, ChangeCases, CreateCases, DetailCases, ListCases

ALL = frozenset(Permission)


class Members:
    def make(self, organisation) -> str:
        user = User.objects.create_user(f"{uuid7().hex}@example.com", None)
        return str(Membership.objects.create(user=user, role="viewer").pk)


class Invitations:
    def make(self, organisation) -> str:
        email = f"{uuid7().hex}@example.com"
        return str(invitation_create(actor=SYSTEM, granted=ALL, email=email, role="viewer").pk)


class Keys:
    def make(self, organisation) -> str:
        key, _text = api_key_create(actor=SYSTEM, granted=ALL, name="k", scopes=["keys:write"])
        return str(key.pk)


class TestMemberList(Members, ListCases):
    path, permission = "/api/v1/members", "people:read"


class TestMember(Members, DetailCases):
    path, permission = "/api/v1/members/{id}", "people:read"


class TestMemberChange(Members, ChangeCases):
    path, permission, body = "/api/v1/members/{id}", "people:write", {"role": "viewer"}

    def client(self, organisation, make_key, *scopes):
        # A role can be given only by whoever may do all that it may.
        more = scopes or ("people:write", *ROLE_PERMISSIONS[Role.VIEWER])
        return super().client(organisation, make_key, *more)


class TestInvitationList(Invitations, ListCases):
    path, permission = "/api/v1/invitations", "people:read"


class TestInvitation(Invitations, DetailCases):
    path, permission = "/api/v1/invitations/{id}", "people:read"


class TestInvitationCreate(CreateCases):
    path, permission = "/api/v1/invitations", "people:write"
    body = {"email": "new@example.com", "role": "viewer"}
    invalid = [
        ({}, "/email"),
        ({"email": "x", "role": "viewer"}, "/email"),
        ({"email": "a@example.com", "role": "king"}, "/role"),
    ]

    def client(self, organisation, make_key, *scopes):
        more = scopes or ("people:write", *ROLE_PERMISSIONS[Role.VIEWER])
        return super().client(organisation, make_key, *more)


class TestKeyList(Keys, ListCases):
    path, permission = "/api/v1/api-keys", "keys:write"


class TestKey(Keys, DetailCases):
    path, permission = "/api/v1/api-keys/{id}", "keys:write"


class TestKeyChange(Keys, ChangeCases):
    path, permission, body = "/api/v1/api-keys/{id}", "keys:write", {"name": "other"}


class TestKeyCreate(CreateCases):
    path, permission = "/api/v1/api-keys", "keys:write"
    body = {"name": "loader", "scopes": ["keys:write"]}
    invalid = [
        ({}, "/name"),
        ({"name": "", "scopes": ["jobs:read"]}, "/name"),
        ({"name": "x" * 81, "scopes": ["jobs:read"]}, "/name"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["jobs:read"], "networks": ["x"]}, "/networks"),
        (
            {"name": "x", "scopes": ["jobs:read"], "expires_at": "2020-01-01T00:00:00Z"},
            "/expires_at",
        ),
        ({"name": "x", "scopes": ["jobs:read"], "expires_at": "soon"}, "/expires_at"),
    ]


class TestOrganisationChange(AccessCases):
    path, permission = "/api/v1/organisation", "organisation:write"
    method, body = "patch", {"name": "Acme Bank"}


class TestAudit(ListCases):
    path, permission = "/api/v1/audit", "audit:read"

    def make(self, organisation) -> str:
        audit_record(actor=SYSTEM, action="test", target="x", target_id="1")
        return str(AuditEntry.objects.latest("id").pk)
