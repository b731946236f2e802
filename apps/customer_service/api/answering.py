"""POST /api/v1/service/answer"""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from apps.customer_service.models import PUBLIC_AUDIENCE, Assistant
from apps.customer_service.selectors.channels import channel_get
from apps.customer_service.services.answering import Question, Unavailable, answer
from rootstock.common.api import ApiView, valid
from rootstock.common.problems import Problem
from rootstock.gateway.late import LateAnswer
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class TurnInput(serializers.Serializer[Any]):
    """Something that was said before."""

    author = serializers.ChoiceField(["visitor", "assistant", "agent"])
    text = serializers.CharField(max_length=10_000)


class AnswerInput(serializers.Serializer[Any]):
    """A question to the assistant."""

    question = serializers.CharField(max_length=4000)
    # DRF hands the limits on to the list that `many` makes.
    turns = TurnInput(many=True, required=False, max_length=50)  # type: ignore[call-arg]
    language = serializers.CharField(max_length=10, required=False, allow_blank=True)
    audiences = serializers.ListField(
        child=serializers.CharField(max_length=40), min_length=1, max_length=10, required=False
    )
    draft = serializers.BooleanField(default=False, help_text="Ask what is not published yet.")
    channel = serializers.UUIDField(
        required=False, help_text="Answer as this channel does: by its settings, for its audiences."
    )
    composer = serializers.ChoiceField(Assistant.Composer.values, required=False)


class AnswerOutput(serializers.Serializer[Any]):
    """What the assistant says, and how it came about."""

    kind = serializers.CharField()
    body = serializers.CharField()
    language = serializers.CharField()
    citations = serializers.ListField(child=serializers.DictField())
    choices = serializers.ListField(child=serializers.DictField())
    hand_off = serializers.CharField(allow_null=True)
    unanswered = serializers.CharField(allow_null=True)
    standalone = serializers.CharField()
    trace = serializers.DictField()


class AnswerView(ApiView):
    """Asking the assistant outside of any conversation; nothing is stored."""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_answer", request=AnswerInput, responses={200: AnswerOutput}
    )
    def post(self, request: OrganisationRequest) -> HttpResponse:
        """Answer a question as a visitor would be answered, with every step's result and time."""
        data = valid(AnswerInput(data=request.data))
        channel = channel_get(data["channel"]) if "channel" in data else None
        readers = channel.audiences if channel else [PUBLIC_AUDIENCE]
        question = Question(
            text=data["question"],
            turns=[(turn["author"], turn["text"]) for turn in data.get("turns", [])],
            language=data.get("language", ""),
            audiences=tuple(data.get("audiences", readers)),
            channel=channel.pk if channel else None,
            draft=data["draft"],
            composer=data.get("composer"),
        )
        organisation_id = request.organisation.pk

        def finish() -> JsonResponse:
            try:
                reply = answer(organisation_id, question)
            except Unavailable as error:
                raise Problem(
                    503, "search-unavailable", str(error), headers={"Retry-After": "2"}
                ) from error
            return JsonResponse(AnswerOutput(reply).data)

        return LateAnswer(finish)
