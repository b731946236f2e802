"""REST: who am I, the organisation, its members, invitations and keys."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from rootstock.accounts.api.serializers import (
    ApiKeyChange,
    ApiKeyInput,
    ApiKeyOutput,
    ApiKeyRotation,
    InvitationInput,
    InvitationOutput,
    MemberInput,
    MemberOutput,
    MeOutput,
    NewApiKeyOutput,
    OrganisationInput,
    OrganisationOutput,
)
from rootstock.accounts.models import ApiKey
from rootstock.accounts.selectors import api_keys, invitations_open, member_get, members
from rootstock.accounts.services import (
    api_key_create,
    api_key_revoke,
    api_key_rotate,
    api_key_update,
    invitation_create,
    invitation_resend,
    invitation_revoke,
    member_change_role,
    member_remove,
    organisation_update,
)
from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    ApiView,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.tenancy.models import Invitation, Membership, Organisation
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class MeView(ApiView):
    """Who asks."""

    @extend_schema(operation_id="me", responses=MeOutput)
    def get(self, request: OrganisationRequest) -> Response:
        """Say who the credentials belong to and what they may do: a good first call of a program."""
        membership = request.membership
        output = MeOutput(
            {
                "kind": request.actor.kind,
                "id": request.actor.id,
                "label": request.actor.label,
                "role": membership.role if membership else None,
                "permissions": [p for p in Permission if p in request.granted],
                "organisation": request.organisation,
            }
        )
        return Response(output.data)


class OrganisationView(ApiView):
    """The organisation."""

    write_permission = Permission.ORGANISATION_WRITE

    @extend_schema(operation_id="organisation_read", responses=OrganisationOutput)
    def get(self, request: OrganisationRequest) -> Response:
        """Read the organisation of the credentials."""
        organisation: Organisation = request.organisation
        return respond(organisation, OrganisationOutput(organisation).data)

    @extend_schema(
        operation_id="organisation_change",
        parameters=[IF_MATCH],
        request=OrganisationInput,
        responses=OrganisationOutput,
    )
    def patch(self, request: OrganisationRequest) -> Response:
        """Change what is given."""
        data = valid(OrganisationInput(data=request.data))
        organisation = Organisation.objects.select_for_update().get(pk=request.organisation.pk)
        check_if_match(request, organisation)
        organisation = organisation_update(actor=request.actor, organisation=organisation, **data)
        return respond(organisation, OrganisationOutput(organisation).data)


class MemberList(ApiView):
    """The members."""

    permission = Permission.PEOPLE_READ

    @extend_schema(
        operation_id="members_list", parameters=PAGE_PARAMETERS, responses=page_of(MemberOutput)
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the members, the oldest first."""
        return paginate(self, request, members(), MemberOutput, ordering="id")


class MemberView(ApiView):
    """One member."""

    permission = Permission.PEOPLE_READ
    write_permission = Permission.PEOPLE_WRITE

    def _member(self, member_id: uuid.UUID) -> Membership:
        member = member_get(member_id)
        if member is None:
            raise Http404
        return member

    @extend_schema(operation_id="members_read", responses=MemberOutput)
    def get(self, request: OrganisationRequest, member_id: uuid.UUID) -> Response:
        """Read one member."""
        member = self._member(member_id)
        return respond(member, MemberOutput(member).data)

    @extend_schema(
        operation_id="members_change",
        parameters=[IF_MATCH],
        request=MemberInput,
        responses=MemberOutput,
    )
    def patch(self, request: OrganisationRequest, member_id: uuid.UUID) -> Response:
        """Give a member another role; 409 when the last owner would lose theirs."""
        member = self._member(member_id)
        check_if_match(request, member)
        data = valid(MemberInput(data=request.data))
        member = member_change_role(
            actor=request.actor, granted=request.granted, membership=member, role=data["role"]
        )
        return respond(member, MemberOutput(member).data)

    @extend_schema(operation_id="members_remove", parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: OrganisationRequest, member_id: uuid.UUID) -> Response:
        """Take somebody out of the organisation; 409 for the last owner."""
        member = self._member(member_id)
        check_if_match(request, member)
        member_remove(actor=request.actor, granted=request.granted, membership=member)
        return Response(status=204)


class InvitationList(ApiView):
    """The open invitations."""

    permission = Permission.PEOPLE_READ
    write_permission = Permission.PEOPLE_WRITE

    @extend_schema(
        operation_id="invitations_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(InvitationOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the invitations that wait for an answer, the newest first."""
        return paginate(self, request, invitations_open(), InvitationOutput)

    @extend_schema(
        operation_id="invitations_create",
        request=InvitationInput,
        responses={201: InvitationOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Invite somebody by e-mail."""
        data = valid(InvitationInput(data=request.data))
        invitation = invitation_create(actor=request.actor, granted=request.granted, **data)
        return respond(invitation, InvitationOutput(invitation).data, status=201)


class InvitationView(ApiView):
    """One open invitation."""

    permission = Permission.PEOPLE_READ
    write_permission = Permission.PEOPLE_WRITE

    def _invitation(self, invitation_id: uuid.UUID) -> Invitation:
        invitation = invitations_open().filter(pk=invitation_id).first()
        if invitation is None:
            raise Http404
        return invitation

    @extend_schema(operation_id="invitations_read", responses=InvitationOutput)
    def get(self, request: OrganisationRequest, invitation_id: uuid.UUID) -> Response:
        """Read one invitation."""
        invitation = self._invitation(invitation_id)
        return respond(invitation, InvitationOutput(invitation).data)

    @extend_schema(operation_id="invitations_revoke", responses={204: None})
    def delete(self, request: OrganisationRequest, invitation_id: uuid.UUID) -> Response:
        """Take an invitation back; its link stops working."""
        invitation_revoke(actor=request.actor, invitation=self._invitation(invitation_id))
        return Response(status=204)


class InvitationSending(InvitationView):
    """The e-mail of an invitation."""

    http_method_names = ["post"]

    @extend_schema(operation_id="invitations_send", request=None, responses=InvitationOutput)
    def post(self, request: OrganisationRequest, invitation_id: uuid.UUID) -> Response:
        """Send the e-mail again; the invitation is valid for another week."""
        invitation = invitation_resend(
            actor=request.actor,
            granted=request.granted,
            invitation=self._invitation(invitation_id),
        )
        return respond(invitation, InvitationOutput(invitation).data)


class ApiKeyList(ApiView):
    """The API keys."""

    permission = Permission.KEYS_WRITE

    @extend_schema(
        operation_id="api_keys_list", parameters=PAGE_PARAMETERS, responses=page_of(ApiKeyOutput)
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the keys, the newest first, revoked and expired ones among them."""
        return paginate(self, request, api_keys(), ApiKeyOutput)

    @extend_schema(
        operation_id="api_keys_create", request=ApiKeyInput, responses={201: NewApiKeyOutput}
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Make a key. `key` is its text, which is shown only in this answer."""
        data = valid(ApiKeyInput(data=request.data))
        key, text = api_key_create(actor=request.actor, granted=request.granted, **data)
        output = NewApiKeyOutput(key, context={"key": text})
        return respond(key, output.data, status=201)


class ApiKeyView(ApiView):
    """One API key."""

    permission = Permission.KEYS_WRITE

    def _key(self, key_id: uuid.UUID) -> ApiKey:
        key = api_keys().select_for_update().filter(pk=key_id).first()
        if key is None:
            raise Http404
        return key

    @extend_schema(operation_id="api_keys_read", responses=ApiKeyOutput)
    def get(self, request: OrganisationRequest, key_id: uuid.UUID) -> Response:
        """Read one key."""
        key = api_keys().filter(pk=key_id).first()
        if key is None:
            raise Http404
        return respond(key, ApiKeyOutput(key).data)

    @extend_schema(
        operation_id="api_keys_change",
        parameters=[IF_MATCH],
        request=ApiKeyChange,
        responses=ApiKeyOutput,
    )
    def patch(self, request: OrganisationRequest, key_id: uuid.UUID) -> Response:
        """Change name, scopes or networks; a scope that is added must be one's own."""
        key = self._key(key_id)
        check_if_match(request, key)
        data = valid(ApiKeyChange(data=request.data))
        key = api_key_update(actor=request.actor, granted=request.granted, key=key, **data)
        return respond(key, ApiKeyOutput(key).data)

    @extend_schema(operation_id="api_keys_revoke", parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: OrganisationRequest, key_id: uuid.UUID) -> Response:
        """End a key now and for good; it stays in the list."""
        key = self._key(key_id)
        check_if_match(request, key)
        api_key_revoke(actor=request.actor, key=key)
        return Response(status=204)


class ApiKeyRotationView(ApiKeyView):
    """A new secret for a key."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="api_keys_rotate", request=ApiKeyRotation, responses=NewApiKeyOutput
    )
    def post(self, request: OrganisationRequest, key_id: uuid.UUID) -> Response:
        """Give the key a new secret; the old one stays valid for `overlap_seconds`."""
        key = self._key(key_id)
        data = valid(ApiKeyRotation(data=request.data))
        text = api_key_rotate(
            actor=request.actor,
            granted=request.granted,
            key=key,
            overlap=timedelta(seconds=data["overlap_seconds"]),
        )
        output = NewApiKeyOutput(key, context={"key": text})
        return respond(key, output.data)
