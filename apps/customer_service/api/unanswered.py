"""/api/v1/service/unanswered: questions without an answer, gathered, and what becomes of them."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.customer_service.models import Answer, UnansweredCluster
from apps.customer_service.selectors.unanswered import (
    cluster_get,
    cluster_list,
    cluster_questions,
    reply_proposed,
)
from apps.customer_service.services.learning.queue import (
    cluster_answer,
    cluster_ignore,
    cluster_split,
    clusters_merge,
)
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate, valid
from rootstock.common.problems import invalid
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class ClusterFilter(serializers.Serializer[Any]):
    """Which clusters."""

    state = serializers.ChoiceField(UnansweredCluster.State.values, default="open")
    language = serializers.CharField(max_length=10, required=False, default="")
    q = serializers.CharField(max_length=200, required=False, default="", help_text="Words in it.")


class ClusterOutput(serializers.Serializer[Any]):
    """Questions that ask the same."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    state = serializers.ChoiceField(UnansweredCluster.State.values)
    language = serializers.CharField()
    size = serializers.IntegerField(help_text="How many customers asked.")
    last_asked_at = serializers.DateTimeField(allow_null=True)
    answer = serializers.UUIDField(source="answer_id", allow_null=True)


class ProposalOutput(serializers.Serializer[Any]):
    """What a person answered in one of the conversations."""

    body = serializers.CharField()
    language = serializers.CharField()
    conversation = serializers.UUIDField()


class ClusterDetailOutput(ClusterOutput):
    """A cluster with the text to begin an answer with."""

    proposal = ProposalOutput(allow_null=True)


class UnansweredQuestionOutput(serializers.Serializer[Any]):
    """A question, masked of personal data."""

    id = serializers.UUIDField()
    text = serializers.CharField()
    language = serializers.CharField()
    reason = serializers.CharField()
    conversation = serializers.UUIDField(source="conversation_id", allow_null=True)
    created_at = serializers.DateTimeField()


class ClusterAnswerInput(serializers.Serializer[Any]):
    """The answer. Without `answer` a new one is made, with the questions as the ways to ask for it."""

    body = serializers.CharField(max_length=20_000, required=False, allow_blank=True, default="")
    language = serializers.ChoiceField(["en", "zh"], required=False, default="")
    title = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
    answer = serializers.UUIDField(required=False, help_text="Add the questions to this one.")


class ClusterAnswered(serializers.Serializer[Any]):
    """The prepared answer that was made or changed; the next release has it."""

    answer = serializers.UUIDField(source="pk")
    intent = serializers.CharField()
    title = serializers.CharField()
    questions = serializers.ListField(child=serializers.CharField())


class ClusterIgnoreInput(serializers.Serializer[Any]):
    """Whether it is ours to answer."""

    ignored = serializers.BooleanField(default=True)


class ClusterMergeInput(serializers.Serializer[Any]):
    """The clusters that go into this one."""

    others = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=100)


class ClusterSplitInput(serializers.Serializer[Any]):
    """The questions that get a cluster of their own."""

    questions = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=1000)


class ClusterBaseView(ApiView):
    """Seen by all of the service, changed by whoever writes the knowledge."""

    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_WRITE


class ClustersView(ClusterBaseView):
    """The queue."""

    @extend_schema(
        operation_id="service_unanswered_list",
        parameters=[ClusterFilter, *PAGE_PARAMETERS],
        responses=page_of(ClusterOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List clusters of unanswered questions, those that most customers asked first."""
        values = valid(ClusterFilter(data=request.query_params))
        rows = cluster_list(
            state=values["state"],
            language=values["language"],
            search=values["q"].replace("\x00", ""),
        )
        return paginate(self, request, rows, ClusterOutput, ordering=("-size", "-id"))


class ClusterView(ClusterBaseView):
    """One cluster."""

    @extend_schema(operation_id="service_unanswered_read", responses=ClusterDetailOutput)
    def get(self, request: OrganisationRequest, cluster_id: uuid.UUID) -> Response:
        """Read one cluster, with what a person answered in one of its conversations."""
        cluster = cluster_get(cluster_id)
        proposal = reply_proposed(cluster)
        return Response(
            ClusterOutput(cluster).data
            | {"proposal": ProposalOutput(proposal).data if proposal else None}
        )


class ClusterQuestionsView(ClusterBaseView):
    """The questions of a cluster."""

    @extend_schema(
        operation_id="service_unanswered_questions",
        parameters=PAGE_PARAMETERS,
        responses=page_of(UnansweredQuestionOutput),
    )
    def get(self, request: OrganisationRequest, cluster_id: uuid.UUID) -> Response:
        """List the questions of a cluster, the newest first."""
        rows = cluster_questions(cluster_get(cluster_id))
        return paginate(self, request, rows, UnansweredQuestionOutput)


class ClusterAnswerView(ClusterBaseView):
    """Answering a cluster."""

    @extend_schema(
        operation_id="service_unanswered_answer",
        parameters=[IDEMPOTENCY_KEY],
        request=ClusterAnswerInput,
        responses={201: ClusterAnswered},
    )
    @idempotent
    def post(self, request: OrganisationRequest, cluster_id: uuid.UUID) -> Response:
        """Make a prepared answer of a cluster; visitors get it with the next release."""
        cluster = cluster_get(cluster_id)
        data = valid(ClusterAnswerInput(data=request.data))
        key, answer = data.pop("answer", None), None
        if key is not None:
            answer = Answer.objects.filter(pk=key, removed_at=None).first()
            if answer is None:
                raise invalid("/answer", "There is no such answer.")
        made = cluster_answer(cluster=cluster, actor=request.actor, answer=answer, **data)
        return Response(ClusterAnswered(made).data, status=201)


class ClusterIgnoreView(ClusterBaseView):
    """Ignoring a cluster."""

    @extend_schema(
        operation_id="service_unanswered_ignore",
        request=ClusterIgnoreInput,
        responses={200: ClusterOutput},
    )
    def post(self, request: OrganisationRequest, cluster_id: uuid.UUID) -> Response:
        """Ask for no answer to a cluster any more, or again."""
        data = valid(ClusterIgnoreInput(data=request.data))
        cluster = cluster_ignore(
            cluster=cluster_get(cluster_id), actor=request.actor, ignored=data["ignored"]
        )
        return Response(ClusterOutput(cluster).data)


class ClusterMergeView(ClusterBaseView):
    """Joining clusters."""

    @extend_schema(
        operation_id="service_unanswered_merge",
        request=ClusterMergeInput,
        responses={200: ClusterOutput},
    )
    def post(self, request: OrganisationRequest, cluster_id: uuid.UUID) -> Response:
        """Put the questions of other clusters into this one; the others go."""
        cluster = cluster_get(cluster_id)
        data = valid(ClusterMergeInput(data=request.data))
        merged = clusters_merge(cluster=cluster, others=data["others"], actor=request.actor)
        return Response(ClusterOutput(merged).data)


class ClusterSplitView(ClusterBaseView):
    """Dividing a cluster."""

    @extend_schema(
        operation_id="service_unanswered_split",
        request=ClusterSplitInput,
        responses={201: ClusterOutput},
    )
    def post(self, request: OrganisationRequest, cluster_id: uuid.UUID) -> Response:
        """Put some questions of a cluster into a new one, which is returned."""
        cluster = cluster_get(cluster_id)
        data = valid(ClusterSplitInput(data=request.data))
        new = cluster_split(cluster=cluster, questions=data["questions"], actor=request.actor)
        return Response(ClusterOutput(new).data, status=201)
