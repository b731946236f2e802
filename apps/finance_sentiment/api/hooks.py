"""/api/v1/finance/hooks/…: where others send documents, signed and without a key of ours."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.finance_sentiment.api import source_serializers as shapes
from apps.finance_sentiment.models import Source
from apps.finance_sentiment.services.sources.hooks import (
    Hook,
    NoDocuments,
    Unsigned,
    hook_find,
    hook_take,
    signature_check,
)
from rootstock.common.problems import Problem
from rootstock.common.throttling import WINDOW, count
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

_SIGNATURE = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, required=True, description=description)
    for name, description in (
        ("webhook-id", "The message's own id; the same message again is taken once."),
        ("webhook-timestamp", "Seconds since 1970, at most five minutes away from now."),
        ("webhook-signature", "`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64."),
    )
]


class HookView(APIView):
    """An inbound webhook. Who sends is known by the signature (Standard Webhooks), not by a key."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    metadata_class = None

    @extend_schema(
        operation_id="finance_hooks_receive",
        auth=[],
        parameters=_SIGNATURE,
        request=shapes.HookMessage,
        responses={202: shapes.HookAnswer},
    )
    def post(self, request: Request, hook_key: str) -> Response:
        """Take the documents of a signed message: good ones are stored, others become dead letters."""
        hook = hook_find(hook_key) if len(hook_key) <= 40 else None
        if hook is None:
            raise Problem(404, "not-found", _("There is no webhook at this address."))
        left, wait = count(
            f"hook:{hook.source_id}", limit=settings.ROOTSTOCK_RATE_LIMIT, seconds=WINDOW
        )
        if left < 0:
            raise Problem(
                429,
                "throttled",
                _("Too many messages."),
                headers={"Retry-After": str(int(wait) + 1)},
            )
        body = request._request.body
        with organisation_scope(hook.organisation_id):
            answer = _taken(request, hook, body)
        return Response(answer, status=202)


def _taken(request: Request, hook: Hook, body: bytes) -> dict[str, Any]:
    source = Source.objects.get(pk=hook.source_id)
    if not source.enabled:
        raise Problem(409, "switched-off", _("This source is switched off."))
    try:
        message_id = signature_check(source=source, headers=request.headers, body=body)
    except Unsigned as error:
        raise Problem(401, "signature", str(error)) from error
    zone = zoneinfo.ZoneInfo(Organisation.objects.get().time_zone)
    with timezone.override(zone):
        try:
            return hook_take(source=source, message_id=message_id, content=request.data)
        except NoDocuments as error:
            raise Problem(422, "invalid", str(error)) from error
