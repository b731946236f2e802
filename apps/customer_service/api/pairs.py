"""REST: pairs of question and answer found in dialogues."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.customer_service.models import MinedPair
from apps.customer_service.selectors.pairs import pair_get, pairs
from apps.customer_service.services.learning.mining import mining_start
from apps.customer_service.services.learning.pair_review import (
    MOST_AT_ONCE,
    pair_accept,
    pair_edit,
    pair_reject,
    pairs_decide,
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
from rootstock.jobs.api.views import JobOutput
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class PairOutput(serializers.ModelSerializer[MinedPair]):
    """A question of customers and the best reply to it, masked of personal data."""

    class Meta:
        model = MinedPair
        fields = [
            "id", "question", "variants", "reply", "language", "intent", "score", "support", "reasons", "state",
            "edited", "answer", "conversation", "decided_by", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class PairInput(serializers.Serializer[Any]):
    """What of a pair may be changed before it is decided on."""

    question = serializers.CharField(max_length=1000, required=False)
    reply = serializers.CharField(max_length=20_000, required=False)
    intent = serializers.CharField(max_length=120, required=False, allow_blank=True)
    variants = serializers.ListField(
        child=serializers.CharField(max_length=1000), max_length=200, required=False
    )


class PairsDecideInput(serializers.Serializer[Any]):
    """Several pairs and what becomes of them."""

    pairs = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=MOST_AT_ONCE
    )
    accept = serializers.BooleanField(help_text="false: reject them.")


class PairRefusedOutput(serializers.Serializer[Any]):
    """A pair that was left as it is, and why."""

    id = serializers.UUIDField()
    reason = serializers.CharField()


class PairsDecideOutput(serializers.Serializer[Any]):
    """What became of several pairs."""

    done = PairOutput(many=True)
    refused = PairRefusedOutput(many=True)


class PairsBaseView(ApiView):
    """Seen by all of the service, decided on by whoever sets it up."""

    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_WRITE


class PairsView(PairsBaseView):
    """The pairs."""

    http_method_names = ["get"]

    @extend_schema(
        operation_id="service_pairs_list",
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("state", str, enum=MinedPair.State.values),
            OpenApiParameter("language", str),
            OpenApiParameter("q", str, description="A text in question, reply or intent."),
        ],
        responses=page_of(PairOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the pairs, the newest first."""
        asked = request.query_params
        rows = pairs(
            state=asked.get("state", ""),
            language=asked.get("language", ""),
            search=asked.get("q", "").strip(),
        )
        return paginate(self, request, rows.order_by("-id"), PairOutput)


class PairsFindView(PairsBaseView):
    """Looking for pairs."""

    permission = Permission.SERVICE_WRITE
    http_method_names = ["post"]

    @extend_schema(
        operation_id="service_pairs_find",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={202: JobOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Read the dialogues for pairs, in a job; what is decided on already stays."""
        job = mining_start(actor=request.actor)
        return respond(job, JobOutput(job).data, status=202)


class PairView(PairsBaseView):
    """One pair."""

    http_method_names = ["get", "patch"]

    @extend_schema(operation_id="service_pairs_read", responses=PairOutput)
    def get(self, request: OrganisationRequest, pair_id: uuid.UUID) -> Response:
        """Read one pair."""
        pair = pair_get(pair_id)
        return respond(pair, PairOutput(pair).data)

    @extend_schema(
        operation_id="service_pairs_change",
        parameters=[IF_MATCH],
        request=PairInput,
        responses=PairOutput,
    )
    def patch(self, request: OrganisationRequest, pair_id: uuid.UUID) -> Response:
        """Change a pair that waits to be decided on."""
        pair = pair_get(pair_id)
        check_if_match(request, pair)
        pair = pair_edit(pair=pair, values=valid(PairInput(data=request.data)))
        return respond(pair, PairOutput(pair).data)


class PairAcceptView(PairsBaseView):
    """Taking a pair over."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="service_pairs_accept",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses=PairOutput,
    )
    @idempotent
    def post(self, request: OrganisationRequest, pair_id: uuid.UUID) -> Response:
        """Take it over into the draft: `answer` is the prepared answer that it joined or became."""
        pair = pair_accept(pair=pair_get(pair_id), actor=request.actor)
        return respond(pair, PairOutput(pair).data)


class PairRejectView(PairsBaseView):
    """Rejecting a pair."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="service_pairs_reject",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses=PairOutput,
    )
    @idempotent
    def post(self, request: OrganisationRequest, pair_id: uuid.UUID) -> Response:
        """Reject it: it is proposed never again."""
        pair = pair_reject(pair=pair_get(pair_id), actor=request.actor)
        return respond(pair, PairOutput(pair).data)


class PairsDecideView(PairsBaseView):
    """Deciding on several."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="service_pairs_decide",
        parameters=[IDEMPOTENCY_KEY],
        request=PairsDecideInput,
        responses=PairsDecideOutput,
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Take several over or reject them; those that cannot be are left and named."""
        data = valid(PairsDecideInput(data=request.data))
        decided = pairs_decide(pairs=data["pairs"], accept=data["accept"], actor=request.actor)
        refused = [{"id": str(pair.pk), "reason": reason} for pair, reason in decided.refused]
        return Response({"done": PairOutput(decided.done, many=True).data, "refused": refused})
