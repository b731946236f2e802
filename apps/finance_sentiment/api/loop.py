"""/api/v1/finance/labels/queue and /api/v1/finance/loop"""

from __future__ import annotations

import uuid

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.finance_sentiment.api import loop_serializers as serializers
from apps.finance_sentiment.models import Document, LoopCycle
from apps.finance_sentiment.selectors.candidates import (
    measured,
    queue_payload,
)
from apps.finance_sentiment.selectors.loop import cycles_find, loop_get
from apps.finance_sentiment.services.loop.candidates import candidate_skip, candidates_draw
from apps.finance_sentiment.services.loop.cycles import (
    cycle_cancel,
    cycle_close,
    cycle_deploy,
    cycle_start,
)
from apps.finance_sentiment.services.loop.settings import loop_settings_update
from rootstock.common.actors import Actor
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate, valid
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class LabelQueueView(ApiView):
    """The queue of documents that people are asked about."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_labels_queue", responses={200: serializers.LabelQueueOutput}
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Read the next document for you, and why it is asked about."""
        return Response(serializers.LabelQueueOutput(queue_payload(request.actor)).data)


class DocumentSkipView(ApiView):
    """A document that you have nothing to say about."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_document_skip",
        request=None,
        responses={200: serializers.LabelQueueOutput},
    )
    def post(self, request: OrganisationRequest, document_id: uuid.UUID) -> Response:
        """Skip a document, and read the next one; others are still asked about it."""
        document = get_object_or_404(Document, pk=document_id)
        candidate_skip(document=document, actor=request.actor)
        return Response(serializers.LabelQueueOutput(queue_payload(request.actor)).data)


class MeasuredView(ApiView):
    """How good the models are, by documents drawn at random."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_labels_measured",
        responses={200: serializers.VersionMeasuredListOutput},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Read how often each version was right on documents that were drawn at random."""
        return Response(serializers.VersionMeasuredListOutput({"results": measured()}).data)


class CandidatesView(ApiView):
    """Documents worth a look."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_loop_draw",
        request=serializers.CandidateDrawInput,
        responses={200: serializers.CandidateDrawOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Look for documents that people should see now; a day's come by themselves."""
        values = valid(serializers.CandidateDrawInput(data=request.data))
        return Response({"drawn": candidates_draw(count=values["count"])})


class LoopView(ApiView):
    """The loop as a whole."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.MODELS_WRITE

    @extend_schema(operation_id="finance_loop_get", responses={200: serializers.LoopOutput})
    def get(self, request: OrganisationRequest) -> Response:
        """Read how far the loop is: labels, the last cycle, what is deployed, and the settings."""
        return Response(serializers.LoopOutput(loop_get()).data)

    @extend_schema(
        operation_id="finance_loop_update",
        request=serializers.LoopSettingsInput,
        responses={200: serializers.LoopSettingsOutput},
    )
    def patch(self, request: OrganisationRequest) -> Response:
        """Change when the loop turns by itself, and what it does then."""
        values = valid(serializers.LoopSettingsInput(data=request.data))
        row = loop_settings_update(values=values, actor=request.actor)
        return Response(serializers.LoopSettingsOutput(row).data)


class CyclesView(ApiView):
    """Cycles."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.MODELS_WRITE

    @extend_schema(
        operation_id="finance_loop_cycles_list",
        parameters=PAGE_PARAMETERS,
        responses={200: page_of(serializers.LoopCycleOutput)},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Read the turns of the loop, the newest first."""
        return paginate(self, request, cycles_find(), serializers.LoopCycleOutput)

    @extend_schema(
        operation_id="finance_loop_cycles_start",
        request=serializers.LoopCycleInput,
        responses={202: serializers.LoopCycleOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Begin a turn now."""
        values = valid(serializers.LoopCycleInput(data=request.data or {}))
        cycle = cycle_start(actor=request.actor, options=values)
        return Response(serializers.LoopCycleOutput(cycle).data, status=202)


class CycleView(ApiView):
    """One cycle."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_loop_cycles_get", responses={200: serializers.LoopCycleOutput}
    )
    def get(self, request: OrganisationRequest, cycle_id: uuid.UUID) -> Response:
        """Read a turn with its models and what the gate said of each."""
        cycle = get_object_or_404(LoopCycle, pk=cycle_id)
        return Response(serializers.LoopCycleOutput(cycle).data)


class _CycleActView(ApiView):
    permission = Permission.MODELS_WRITE

    def act(self, cycle: LoopCycle, actor: Actor) -> LoopCycle:
        raise NotImplementedError

    def answer(self, request: OrganisationRequest, cycle_id: uuid.UUID) -> Response:
        cycle = get_object_or_404(LoopCycle, pk=cycle_id)
        return Response(serializers.LoopCycleOutput(self.act(cycle, request.actor)).data)


class CycleDeployView(_CycleActView):
    """What the gate has passed."""

    @extend_schema(
        operation_id="finance_loop_cycles_deploy",
        request=None,
        responses={200: serializers.LoopCycleOutput},
    )
    def post(self, request: OrganisationRequest, cycle_id: uuid.UUID) -> Response:
        """Deploy the versions of a waiting cycle that the gate has passed."""
        return self.answer(request, cycle_id)

    def act(self, cycle: LoopCycle, actor: Actor) -> LoopCycle:
        """Deploy."""
        return cycle_deploy(cycle=cycle, actor=actor)


class CycleCloseView(_CycleActView):
    """A cycle that is not deployed."""

    @extend_schema(
        operation_id="finance_loop_cycles_close",
        request=None,
        responses={200: serializers.LoopCycleOutput},
    )
    def post(self, request: OrganisationRequest, cycle_id: uuid.UUID) -> Response:
        """End a waiting cycle and leave what is deployed as it is."""
        return self.answer(request, cycle_id)

    def act(self, cycle: LoopCycle, actor: Actor) -> LoopCycle:
        """Leave it."""
        return cycle_close(cycle=cycle, actor=actor)


class CycleCancelView(_CycleActView):
    """A cycle that is stopped."""

    @extend_schema(
        operation_id="finance_loop_cycles_cancel",
        request=None,
        responses={200: serializers.LoopCycleOutput},
    )
    def post(self, request: OrganisationRequest, cycle_id: uuid.UUID) -> Response:
        """Stop a cycle and its jobs."""
        return self.answer(request, cycle_id)

    def act(self, cycle: LoopCycle, actor: Actor) -> LoopCycle:
        """Stop it."""
        return cycle_cancel(cycle=cycle, actor=actor)
