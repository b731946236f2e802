"""REST: the channels of the widget."""

from __future__ import annotations

import uuid
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.translation import get_language, override
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from apps.customer_service.models import Channel
from apps.customer_service.selectors.channels import channel_get
from apps.customer_service.services.channel_check import page_check, tag_html
from apps.customer_service.services.channels import (
    channel_create,
    channel_delete,
    channel_rotate_secret,
    channel_update,
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
from rootstock.gateway.late import LateAnswer
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class ChannelOutput(serializers.ModelSerializer[Channel]):
    """A channel; its secret is told only when it is made."""

    origins = serializers.ListField(child=serializers.CharField())
    audiences = serializers.ListField(child=serializers.CharField())
    holidays = serializers.ListField(child=serializers.DateField())
    tag = serializers.SerializerMethodField()

    class Meta:
        model = Channel
        fields = [
            "id", "name", "key", "tag", "enabled", "origins", "identity_required", "audiences", "appearance",
            "pre_chat", "business_hours", "holidays", "attachments", "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.CharField(help_text="The line for the host page."))
    def get_tag(self, row: Channel) -> str:
        """The line for the host page."""
        request = self.context["request"]
        return tag_html(f"{request.scheme}://{request.get_host()}", row.key)


class ChannelWithSecretOutput(ChannelOutput):
    """A channel with the secret that signs identities."""

    class Meta(ChannelOutput.Meta):
        fields = [*ChannelOutput.Meta.fields, "identity_secret"]


class ChannelChange(serializers.Serializer[Any]):
    """What can be changed of a channel."""

    name = serializers.CharField(max_length=120, required=False)
    enabled = serializers.BooleanField(required=False)
    origins = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=50
    )
    identity_required = serializers.BooleanField(required=False)
    audiences = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=20
    )
    appearance = serializers.JSONField(
        required=False,
        help_text='`{"colour", "scheme", "position", "title": {"en", "zh"}, "greeting", "suggestions": [{"en"}]}`',
    )
    pre_chat = serializers.JSONField(
        required=False,
        help_text='`{"fields": [{"name", "kind": "text|email|choice", "required", "label": {"en", "zh"}, "choices"}]}`',
    )
    business_hours = serializers.JSONField(
        required=False, help_text='`{"mon": [["09:00", "18:00"]], …}`; empty: always.'
    )
    holidays = serializers.ListField(child=serializers.DateField(), required=False, max_length=400)
    attachments = serializers.BooleanField(required=False)


class ChannelInput(ChannelChange):
    """A new channel."""

    name = serializers.CharField(max_length=120)


class CheckInput(serializers.Serializer[Any]):
    """Which page to look at."""

    url = serializers.CharField(max_length=2000)


class FindingOutput(serializers.Serializer[Any]):
    """One thing about the page."""

    ok = serializers.BooleanField()
    code = serializers.CharField()
    text = serializers.CharField()
    fix = serializers.CharField(help_text="What to do; a line to copy where there is one.")


class ChannelCheckOutput(serializers.Serializer[Any]):
    """Whether the widget works there."""

    works = serializers.BooleanField()
    findings = FindingOutput(many=True)


class _ChannelView(ApiView):
    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_WRITE


class ChannelList(_ChannelView):
    """The channels."""

    @extend_schema(
        operation_id="service_channels_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(ChannelOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the channels, the newest first."""
        return paginate(self, request, Channel.objects.all(), _output(request))

    @extend_schema(
        operation_id="service_channels_create",
        parameters=[IDEMPOTENCY_KEY],
        request=ChannelInput,
        responses={201: ChannelWithSecretOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Make a channel. The answer holds the secret that signs identities."""
        data = valid(ChannelInput(data=request.data))
        channel = channel_create(actor=request.actor, **data)
        output = ChannelWithSecretOutput(channel, context={"request": request})
        return respond(channel, output.data, status=201)


class ChannelDetail(_ChannelView):
    """One channel."""

    @extend_schema(operation_id="service_channels_read", responses=ChannelOutput)
    def get(self, request: OrganisationRequest, channel_id: uuid.UUID) -> Response:
        """Read one channel."""
        channel = channel_get(channel_id)
        return respond(channel, _output(request)(channel).data)

    @extend_schema(
        operation_id="service_channels_change",
        parameters=[IF_MATCH],
        request=ChannelChange,
        responses=ChannelOutput,
    )
    def patch(self, request: OrganisationRequest, channel_id: uuid.UUID) -> Response:
        """Change what is given."""
        channel = channel_get(channel_id)
        check_if_match(request, channel)
        data = valid(ChannelChange(data=request.data))
        channel = channel_update(channel=channel, actor=request.actor, **data)
        return respond(channel, _output(request)(channel).data)

    @extend_schema(
        operation_id="service_channels_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, channel_id: uuid.UUID) -> Response:
        """Remove a channel. Its conversations stay."""
        channel = channel_get(channel_id)
        check_if_match(request, channel)
        channel_delete(channel=channel, actor=request.actor)
        return Response(status=204)


class ChannelSecret(ApiView):
    """A new secret."""

    permission = Permission.SERVICE_WRITE

    @extend_schema(
        operation_id="service_channels_rotate_secret",
        request=None,
        responses=ChannelWithSecretOutput,
    )
    def post(self, request: OrganisationRequest, channel_id: uuid.UUID) -> Response:
        """Make a new secret. Identities signed with the old one are refused from now on."""
        channel = channel_rotate_secret(channel=channel_get(channel_id), actor=request.actor)
        output = ChannelWithSecretOutput(channel, context={"request": request})
        return respond(channel, output.data)


class ChannelCheck(ApiView):
    """Does the tag work?"""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_channels_check", request=CheckInput, responses=ChannelCheckOutput
    )
    def post(self, request: OrganisationRequest, channel_id: uuid.UUID) -> HttpResponseBase:
        """Fetch a page and tell whether the tag works on it, and if not, why and what to do."""
        url = valid(CheckInput(data=request.data))["url"]
        channel = channel_get(channel_id)
        home, language = f"{request.scheme}://{request.get_host()}", get_language()

        def finish() -> HttpResponseBase:
            with override(language):
                findings = page_check(
                    url=url,
                    home=home,
                    key=channel.key,
                    origins=channel.origins,
                    enabled=channel.enabled,
                )
            works = all(finding.ok for finding in findings)
            response = Response(ChannelCheckOutput({"works": works, "findings": findings}).data)
            response.accepted_renderer = JSONRenderer()
            response.accepted_media_type = "application/json"
            response.renderer_context = {}  # type: ignore[attr-defined]  # DRF sets it from outside as well
            rendered: HttpResponseBase = response.render()
            return rendered

        return LateAnswer(finish)


def _output(request: OrganisationRequest) -> Any:
    """The serializer, told the address under which we were asked."""

    def make(rows: Any, **options: Any) -> ChannelOutput:
        return ChannelOutput(rows, context={"request": request}, **options)

    return make
