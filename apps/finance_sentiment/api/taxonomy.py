"""/api/v1/finance/taxonomy and topic-proposals"""

from __future__ import annotations

import uuid

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.finance_sentiment.api import entity_serializers as serializers
from apps.finance_sentiment.models import Topic, TopicProposal
from apps.finance_sentiment.services.relinking import relink_start
from apps.finance_sentiment.services.topics import (
    TopicRefused,
    discovery_start,
    proposal_dismiss,
    proposal_promote,
    topic_create,
    topic_remove,
    topic_update,
)
from apps.finance_sentiment.services.vocabulary import vocabulary_ensure
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate
from rootstock.common.problems import Problem, invalid
from rootstock.tenancy.permissions import Permission


class TaxonomyView(ApiView):
    """The taxonomy."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_taxonomy_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.TopicRowOutput),
    )
    def get(self, request: Request) -> Response:
        """The topics that documents are sorted into."""
        vocabulary_ensure()
        return paginate(
            self, request, Topic.objects.all(), serializers.TopicRowOutput, ordering="slug"
        )

    @extend_schema(
        operation_id="finance_taxonomy_create",
        request=serializers.TopicInput,
        responses={201: serializers.TopicRowOutput},
    )
    def post(self, request: Request) -> Response:
        """Add a topic; stored documents are read anew."""
        given = serializers.TopicInput(data=request.data)
        given.is_valid(raise_exception=True)
        vocabulary_ensure()
        try:
            topic = topic_create(actor=request.actor, values=given.validated_data)  # type: ignore[attr-defined]
        except TopicRefused as error:
            raise invalid(f"/{error.field}", str(error)) from error
        _reread(request)
        return Response(serializers.TopicRowOutput(topic).data, status=201)


class TopicView(ApiView):
    """One topic."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_taxonomy_update",
        request=serializers.TopicChangeInput,
        responses={200: serializers.TopicRowOutput},
    )
    def patch(self, request: Request, topic_id: uuid.UUID) -> Response:
        """Change or retire a topic; stored documents are read anew."""
        topic = get_object_or_404(Topic, pk=topic_id)
        given = serializers.TopicChangeInput(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            topic_update(topic=topic, actor=request.actor, values=given.validated_data)  # type: ignore[attr-defined]
        except TopicRefused as error:
            raise invalid(f"/{error.field}", str(error)) from error
        _reread(request)
        return Response(serializers.TopicRowOutput(topic).data)

    @extend_schema(operation_id="finance_taxonomy_delete", responses={204: None})
    def delete(self, request: Request, topic_id: uuid.UUID) -> Response:
        """Take a topic out that a person has added."""
        topic = get_object_or_404(Topic, pk=topic_id)
        try:
            topic_remove(topic=topic, actor=request.actor)  # type: ignore[attr-defined]
        except TopicRefused as error:
            raise Problem(409, "built-in", str(error)) from error
        _reread(request)
        return Response(status=204)


class ProposalsView(ApiView):
    """Topics that were discovered."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_topic_proposals_list",
        parameters=[serializers.TopicProposalFilter, *PAGE_PARAMETERS],
        responses=page_of(serializers.TopicProposalOutput),
    )
    def get(self, request: Request) -> Response:
        """Groups of documents that no topic covers."""
        wanted = serializers.TopicProposalFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        rows = TopicProposal.objects.filter(**wanted.validated_data)
        return paginate(self, request, rows, serializers.TopicProposalOutput)

    @extend_schema(
        operation_id="finance_topic_proposals_discover",
        request=serializers.DiscoveryInput,
        responses={202: serializers.DiscoveryOutput},
    )
    def post(self, request: Request) -> Response:
        """Look for new topics: a job that groups what no topic covers."""
        given = serializers.DiscoveryInput(data=request.data)
        given.is_valid(raise_exception=True)
        job = discovery_start(actor=request.actor, days=given.validated_data["days"])  # type: ignore[attr-defined]
        return Response({"job": str(job.pk)}, status=202)


class PromotionView(ApiView):
    """Making a proposal a topic."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_topic_proposals_promote",
        request=serializers.TopicPromotionInput,
        responses={201: serializers.TopicRowOutput},
    )
    def post(self, request: Request, proposal_id: uuid.UUID) -> Response:
        """Take the group into the taxonomy; stored documents are read anew."""
        proposal = get_object_or_404(TopicProposal.objects.select_for_update(), pk=proposal_id)
        given = serializers.TopicPromotionInput(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            topic = proposal_promote(
                proposal=proposal,
                actor=request.actor,  # type: ignore[attr-defined]
                values=given.validated_data,
            )
        except TopicRefused as error:
            raise _refused(error) from error
        _reread(request)
        return Response(serializers.TopicRowOutput(topic).data, status=201)


class DismissalView(ApiView):
    """Saying that a proposal is no topic."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_topic_proposals_dismiss",
        request=None,
        responses={200: serializers.TopicProposalOutput},
    )
    def post(self, request: Request, proposal_id: uuid.UUID) -> Response:
        """Dismiss a proposal; groups with most of its words are not proposed again."""
        proposal = get_object_or_404(TopicProposal.objects.select_for_update(), pk=proposal_id)
        try:
            proposal_dismiss(proposal=proposal, actor=request.actor)  # type: ignore[attr-defined]
        except TopicRefused as error:
            raise _refused(error) from error
        return Response(serializers.TopicProposalOutput(proposal).data)


def _refused(error: TopicRefused) -> Problem:
    if error.field:
        return invalid(f"/{error.field}", str(error))
    return Problem(409, "decided", str(error))


def _reread(request: Request) -> None:
    relink_start(
        actor=request.actor,  # type: ignore[attr-defined]
        title=_("Read documents anew by the topics"),
    )
