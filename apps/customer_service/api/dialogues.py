"""REST: past dialogues, a few at once or in a file."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from apps.customer_service.models import Message
from apps.customer_service.services.learning.dialogue_jobs import (
    IMPORT_JOB,
    dialogues_given,
    import_start,
)
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate, respond, valid
from rootstock.jobs.api.views import JobOutput
from rootstock.jobs.selectors import job_list
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest

MOST_DIALOGUES = 100


class DialogueTurnInput(serializers.Serializer[Any]):
    """What was said once."""

    who = serializers.CharField(
        help_text=f"{', '.join(Message.Author.values)}, or a word for one of them, such as customer."
    )
    text = serializers.CharField(max_length=20_000)
    time = serializers.CharField(required=False, help_text="ISO 8601, or seconds since 1970.")
    emotion = serializers.CharField(required=False, help_text="anger, sadness, joy or neutral.")
    edited = serializers.BooleanField(
        required=False, help_text="An agent changed what had been proposed."
    )


class DialogueInput(serializers.Serializer[Any]):
    """A past dialogue; its id is the company's own, and it is known again by it."""

    id = serializers.CharField(max_length=200)
    turns = serializers.ListField(child=DialogueTurnInput(), min_length=1, max_length=2000)
    customer = serializers.CharField(required=False, max_length=200)
    language = serializers.CharField(required=False, max_length=10)
    intent = serializers.CharField(required=False, max_length=120)
    resolved = serializers.BooleanField(required=False)
    rating = serializers.IntegerField(required=False, min_value=1, max_value=5)


class DialoguesInput(serializers.Serializer[Any]):
    """Up to a hundred dialogues."""

    dialogues = serializers.ListField(
        child=DialogueInput(), min_length=1, max_length=MOST_DIALOGUES
    )


class BadRowOutput(serializers.Serializer[Any]):
    """What cannot be used. Of a call, `line` counts the dialogues from 1."""

    line = serializers.IntegerField()
    column = serializers.CharField()
    reason = serializers.CharField()


class DialoguesOutput(serializers.Serializer[Any]):
    """What became of the dialogues."""

    created = serializers.IntegerField(help_text="New conversations.")
    grown = serializers.IntegerField(help_text="Conversations that got messages more.")
    unchanged = serializers.IntegerField()
    messages = serializers.IntegerField(help_text="New messages.")
    bad = serializers.IntegerField(help_text="Dialogues that cannot be used.")
    bad_rows = BadRowOutput(many=True)


class DialogueFileInput(serializers.Serializer[Any]):
    """A file of dialogues: CSV or JSON lines, gzipped if you like."""

    file = serializers.FileField()
    encoding = serializers.CharField(
        required=False, default="", max_length=40, help_text="When it is not UTF-8: gb18030, …"
    )


class DialoguesBaseView(ApiView):
    """For whoever sets up the service."""

    permission = Permission.SERVICE_WRITE


class DialoguesView(DialoguesBaseView):
    """A few dialogues at once."""

    @extend_schema(
        operation_id="service_dialogues_create",
        parameters=[IDEMPOTENCY_KEY],
        request=DialoguesInput,
        responses=DialoguesOutput,
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Store past dialogues. One that is there already gets the messages that it does not have."""
        data = valid(DialoguesInput(data=request.data))
        report = dialogues_given(
            data["dialogues"], zone=timezone.get_current_timezone(), actor=request.actor
        )
        return Response(report.as_json())


class DialogueImportsView(DialoguesBaseView):
    """Files of dialogues."""

    http_method_names = ["get", "post"]
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="service_dialogue_imports_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(JobOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the imports, the newest first; `result` says what became of one."""
        return paginate(self, request, job_list(kind=IMPORT_JOB), JobOutput)

    @extend_schema(
        operation_id="service_dialogue_imports_create",
        request={"multipart/form-data": DialogueFileInput},
        responses={202: JobOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Import a file of at most 512 MB in the background; the job tells how far it is."""
        data = valid(DialogueFileInput(data=request.data))
        upload = data["file"]
        job = import_start(
            file=upload,
            name=upload.name or "",
            actor=request.actor,
            encoding=data["encoding"],
        )
        return respond(job, JobOutput(job).data, status=202)
