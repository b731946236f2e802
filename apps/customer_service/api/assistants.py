"""/api/v1/service/assistant and /channels/<id>/assistant: how questions are answered, and tuning that."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.customer_service.models import UNMASKABLE, Assistant
from apps.customer_service.selectors.answering import assistant_get
from apps.customer_service.selectors.channels import channel_get
from apps.customer_service.services.assistants import (
    MOST_BLOCKED,
    MOST_MISSES,
    assistant_follow,
    assistant_update,
)
from apps.customer_service.services.tuning import tuning_job, tuning_start, tuning_use
from rootstock.common.api import ApiView, valid
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class ChannelAssistantInput(serializers.Serializer[Any]):
    """What can be set; what is not given stays."""

    composer = serializers.ChoiceField(
        Assistant.Composer.values,
        required=False,
        help_text="Who writes an answer from the passages found.",
    )
    generator = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        help_text="A deployment that writes text, or connection/model. Only with composer generator.",
    )
    template_threshold = serializers.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        help_text="From this match on a prepared answer is given as it is.",
    )
    support_threshold = serializers.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        help_text="Below this support by the sources nothing is answered.",
    )
    blocked_words = serializers.ListField(
        child=serializers.CharField(max_length=100),
        max_length=MOST_BLOCKED,
        required=False,
        help_text="Messages with one of these are neither answered nor repeated.",
    )
    small_talk = serializers.BooleanField(
        required=False, help_text="Answer greetings, thanks and goodbyes with a phrase."
    )
    offer_people = serializers.BooleanField(
        required=False, help_text="Offer people where nothing is found."
    )
    offer_people_after = serializers.IntegerField(
        min_value=1,
        max_value=MOST_MISSES,
        required=False,
        help_text="Bring people unasked after so many answers in a row that did not help.",
    )
    unmasked = serializers.ListField(
        child=serializers.ChoiceField(UNMASKABLE),
        required=False,
        help_text="Kinds of personal data that models, searches and logs may see.",
    )
    csat = serializers.BooleanField(
        required=False, help_text="Ask how it was when a conversation is resolved."
    )


class AssistantInput(ChannelAssistantInput):
    """What can be set for the organisation."""

    vector_weight = serializers.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        allow_null=True,
        help_text="Share of meaning against words in the ranking; null: as usual.",
    )
    reranker = serializers.CharField(
        max_length=200, required=False, allow_blank=True, help_text="A deployed reranker."
    )


class AssistantOutput(serializers.ModelSerializer[Assistant]):
    """How questions are answered. `channel` is null where the organisation's settings hold."""

    blocked_words = serializers.ListField(child=serializers.CharField())
    unmasked = serializers.ListField(child=serializers.CharField())
    vector_weight = serializers.FloatField(allow_null=True)
    retrieval_report = serializers.DictField(help_text="The tuning that is in use, if any.")

    class Meta:
        model = Assistant
        fields = [
            "channel", "composer", "generator", "template_threshold", "support_threshold", "blocked_words",
            "small_talk", "offer_people", "offer_people_after", "unmasked", "csat", "vector_weight", "reranker",
            "retrieval_report",
        ]  # fmt: skip


class TuningOutput(serializers.Serializer[Any]):
    """The newest tuning. `report` is what it chose and measured; null until it has ended well."""

    job = serializers.UUIDField()
    state = serializers.CharField()
    fraction = serializers.FloatField()
    error = serializers.CharField(allow_blank=True)
    report = serializers.DictField(allow_null=True)


class _AssistantView(ApiView):
    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_WRITE


class AssistantView(_AssistantView):
    """The organisation's assistant."""

    @extend_schema(operation_id="service_assistant_read", responses={200: AssistantOutput})
    def get(self, request: OrganisationRequest) -> Response:
        """Read how questions are answered."""
        return Response(AssistantOutput(assistant_get()).data)

    @extend_schema(
        operation_id="service_assistant_change",
        request=AssistantInput,
        responses={200: AssistantOutput},
    )
    def patch(self, request: OrganisationRequest) -> Response:
        """Change what is given."""
        values = valid(AssistantInput(data=request.data))
        assistant = assistant_update(values=values, actor=request.actor)
        return Response(AssistantOutput(assistant).data)


class ChannelAssistantView(_AssistantView):
    """The assistant of a channel."""

    @extend_schema(operation_id="service_channel_assistant_read", responses={200: AssistantOutput})
    def get(self, request: OrganisationRequest, channel_id: uuid.UUID) -> Response:
        """Read how questions from a channel are answered: by its own settings, or the organisation's."""
        return Response(AssistantOutput(assistant_get(channel_get(channel_id).pk)).data)

    @extend_schema(
        operation_id="service_channel_assistant_change",
        request=ChannelAssistantInput,
        responses={200: AssistantOutput},
    )
    def patch(self, request: OrganisationRequest, channel_id: uuid.UUID) -> Response:
        """Change what is given; a channel that followed the organisation has settings of its own from then on."""
        values = valid(ChannelAssistantInput(data=request.data))
        assistant = assistant_update(
            values=values, actor=request.actor, channel=channel_get(channel_id)
        )
        return Response(AssistantOutput(assistant).data)

    @extend_schema(operation_id="service_channel_assistant_follow", responses={204: None})
    def delete(self, request: OrganisationRequest, channel_id: uuid.UUID) -> Response:
        """Have the channel follow the organisation's settings again."""
        assistant_follow(channel=channel_get(channel_id), actor=request.actor)
        return Response(status=204)


class TuningView(_AssistantView):
    """Choosing the weight and the threshold by the evaluation questions."""

    @extend_schema(operation_id="service_tuning_read", responses={200: TuningOutput})
    def get(self, request: OrganisationRequest) -> Response:
        """Read the newest tuning."""
        return Response(_tuning())

    @extend_schema(operation_id="service_tuning_start", request=None, responses={202: TuningOutput})
    def post(self, request: OrganisationRequest) -> Response:
        """Start one. It asks every evaluation question of the draft; nothing changes until it is taken into use."""
        tuning_start(actor=request.actor)
        return Response(_tuning(), status=202)


class TuningUseView(_AssistantView):
    """Taking a tuning into use."""

    @extend_schema(
        operation_id="service_tuning_use", request=None, responses={200: AssistantOutput}
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Search and answer by what the newest finished tuning has chosen."""
        job = tuning_job(ended=True)
        if job is None:
            raise Http404("no tuning has ended")
        return Response(AssistantOutput(tuning_use(job=job, actor=request.actor)).data)


def _tuning() -> dict[str, Any]:
    job = tuning_job()
    if job is None:
        raise Http404("nothing has been tuned")
    row = {
        "job": job.pk,
        "state": job.state,
        "fraction": job.fraction,
        "error": job.error,
        "report": job.result if job.state == job.State.SUCCEEDED else None,
    }
    return dict(TuningOutput(row).data)
