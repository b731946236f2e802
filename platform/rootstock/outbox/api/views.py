"""REST: what could not be done, and trying it again."""

from __future__ import annotations

import uuid

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate
from rootstock.outbox.models import OutboxMessage
from rootstock.outbox.selectors import dead_letters
from rootstock.outbox.services import dead_letter_retry
from rootstock.tenancy.permissions import Permission


class DeadLetterOutput(serializers.ModelSerializer[OutboxMessage]):
    """Something that was tried too often. Its payload is internal and not shown."""

    class Meta:
        model = OutboxMessage
        fields = ["id", "topic", "queue", "attempts", "last_error", "created_at", "dead_at"]


class DeadLetterList(ApiView):
    """The dead letters."""

    permission = Permission.JOBS_READ

    @extend_schema(
        operation_id="dead_letters_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(DeadLetterOutput),
    )
    def get(self, request: Request) -> Response:
        """List what was given up after too many failures, the newest first."""
        return paginate(self, request, dead_letters(), DeadLetterOutput)


class DeadLetterView(ApiView):
    """One dead letter."""

    permission = Permission.JOBS_READ

    @extend_schema(operation_id="dead_letters_read", responses=DeadLetterOutput)
    def get(self, request: Request, message_id: uuid.UUID) -> Response:
        """Read one dead letter."""
        message = dead_letters().filter(pk=message_id).first()
        if message is None:
            raise Http404
        return Response(DeadLetterOutput(message).data)


class DeadLetterRetry(ApiView):
    """Another round of attempts."""

    permission = Permission.JOBS_WRITE

    @extend_schema(
        operation_id="dead_letters_retry", request=None, responses={202: DeadLetterOutput}
    )
    def post(self, request: Request, message_id: uuid.UUID) -> Response:
        """Try a dead letter again, with all its attempts before it."""
        message = dead_letter_retry(message_id)
        return Response(DeadLetterOutput(message).data, status=202)
