"""REST: annotation queues, what people say, and how far they agree."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.modelhub import selectors
from rootstock.modelhub.api import data_serializers as serializers
from rootstock.modelhub.api.datasets import ModelsView, found
from rootstock.modelhub.models import AnnotationQueue, DatasetExample
from rootstock.modelhub.services import annotation as services
from rootstock.modelhub.suggestions import suggest
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest


def queue_list() -> Any:
    """All queues with their data sets, newest first."""
    return AnnotationQueue.objects.select_related("dataset").order_by("-id")


class QueueList(ModelsView):
    """The annotation queues."""

    @extend_schema(
        operation_id="queues_list",
        parameters=[serializers.QueueQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.QueueOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the queues, the newest first."""
        query = valid(serializers.QueueQuery(data=request.query_params.dict()))
        rows = queue_list().filter(**{"dataset_id": query["dataset"]} if "dataset" in query else {})
        return paginate(self, request, rows, serializers.QueueOutput)

    @extend_schema(
        operation_id="queues_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.QueueInput,
        responses={201: serializers.QueueOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Ask people about the examples of a data set."""
        data = valid(serializers.QueueInput(data=request.data))
        dataset = found(selectors.dataset_list().filter(pk=data.pop("dataset")).first())
        queue = services.queue_create(dataset=dataset, actor=request.actor, **data)
        return respond(queue, serializers.QueueOutput(queue).data, status=201)


class _QueuePart(ModelsView):
    """What belongs to a queue."""

    http_method_names = ["get"]

    def queue(self, queue_id: uuid.UUID) -> AnnotationQueue:
        """The queue, or 404."""
        queue: AnnotationQueue = found(queue_list().filter(pk=queue_id).first())
        return queue

    def example(self, queue: AnnotationQueue, example_id: uuid.UUID) -> DatasetExample:
        """An example of the queue's data set, or 404."""
        example: DatasetExample = found(
            DatasetExample.objects.select_related("dataset")
            .filter(pk=example_id, dataset_id=queue.dataset_id)
            .first()
        )
        return example

    def answer(
        self, queue: AnnotationQueue, example: Any, request: OrganisationRequest
    ) -> Response:
        """An example (or none) with the progress of the queue."""
        progress = services.progress(queue, request.actor)
        return Response(serializers.NextOutput({"example": example, "progress": progress}).data)


class QueueView(_QueuePart):
    """One queue."""

    http_method_names = ["get", "patch"]

    @extend_schema(operation_id="queues_read", responses=serializers.QueueOutput)
    def get(self, request: OrganisationRequest, queue_id: uuid.UUID) -> Response:
        """Read a queue."""
        queue = self.queue(queue_id)
        return respond(queue, serializers.QueueOutput(queue).data)

    @extend_schema(
        operation_id="queues_change",
        parameters=[IF_MATCH],
        request=serializers.QueueChange,
        responses=serializers.QueueOutput,
    )
    def patch(self, request: OrganisationRequest, queue_id: uuid.UUID) -> Response:
        """Close it, or open it again; what was said stays."""
        data = valid(serializers.QueueChange(data=request.data))
        queue = self.queue(queue_id)
        check_if_match(request, queue)
        queue = services.queue_close(queue=queue, actor=request.actor, **data)
        return respond(queue, serializers.QueueOutput(queue).data)


class QueueNext(_QueuePart):
    """The next example."""

    @extend_schema(operation_id="queues_next", responses=serializers.NextOutput)
    def get(self, request: OrganisationRequest, queue_id: uuid.UUID) -> Response:
        """The next example for the asking person; null when they have seen all."""
        queue = self.queue(queue_id)
        example = services.example_next(queue=queue, actor=request.actor)
        return self.answer(queue, example, request)


class QueueSuggestion(_QueuePart):
    """What a model would say."""

    @extend_schema(operation_id="queues_suggestion", responses=serializers.SuggestionAnswer)
    def get(
        self, request: OrganisationRequest, queue_id: uuid.UUID, example_id: uuid.UUID
    ) -> Response:
        """Ask the queue's deployment about an example."""
        queue = self.queue(queue_id)
        suggestion = suggest(queue, self.example(queue, example_id))
        return Response(serializers.SuggestionAnswer({"suggestion": suggestion}).data)


class QueueAnnotations(_QueuePart):
    """What people say."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="queues_annotate",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.AnnotationInput,
        responses=serializers.NextOutput,
    )
    @idempotent
    def post(self, request: OrganisationRequest, queue_id: uuid.UUID) -> Response:
        """Answer or skip an example; the answer is the next one. 409 when the queue is closed."""
        data = valid(serializers.AnnotationInput(data=request.data))
        queue = self.queue(queue_id)
        example = self.example(queue, data["example"])
        if data["skip"]:
            services.annotation_skip(
                queue=queue, example=example, actor=request.actor, seconds=data.get("seconds")
            )
        else:
            services.annotation_submit(
                queue=queue,
                example=example,
                actor=request.actor,
                answer=data["answer"],
                seconds=data.get("seconds"),
                suggestion=data.get("suggestion"),
            )
        following = services.example_next(queue=queue, actor=request.actor)
        return self.answer(queue, following, request)


class QueueUndo(_QueuePart):
    """Second thoughts."""

    http_method_names = ["post"]

    @extend_schema(operation_id="queues_undo", request=None, responses=serializers.UndoOutput)
    def post(self, request: OrganisationRequest, queue_id: uuid.UUID) -> Response:
        """Take back what the asking person said last; the answer is that example, null when there is none."""
        queue = self.queue(queue_id)
        example = services.annotation_undo(queue=queue, actor=request.actor)
        if example is not None:
            example.refresh_from_db()
        return self.answer(queue, example, request)


class QueueAgreement(_QueuePart):
    """How far people agree."""

    @extend_schema(operation_id="queues_agreement", responses=serializers.AgreementOutput)
    def get(self, request: OrganisationRequest, queue_id: uuid.UUID) -> Response:
        """Raw agreement, kappa and alpha over the examples that two people or more have seen."""
        report = services.agreement(self.queue(queue_id))
        return Response(serializers.AgreementOutput(asdict(report)).data)


class QueueDisagreements(_QueuePart):
    """What people disagree on."""

    @extend_schema(
        operation_id="queues_disagreements", responses=serializers.DisagreementOutput(many=True)
    )
    def get(self, request: OrganisationRequest, queue_id: uuid.UUID) -> Response:
        """The first 200 undecided examples that as many as are asked have seen, with what each said."""
        rows = [
            {"example": example, "annotations": annotations}
            for example, annotations in services.disagreements(self.queue(queue_id))
        ]
        return Response(serializers.DisagreementOutput(rows, many=True).data)


class QueueDecisions(_QueuePart):
    """What was decided."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="queues_decide",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.DecisionInput,
        responses=serializers.DecisionOutput,
    )
    @idempotent
    def post(self, request: OrganisationRequest, queue_id: uuid.UUID) -> Response:
        """Settle an example; the answer gets into the data set, with its history."""
        data = valid(serializers.DecisionInput(data=request.data))
        queue = self.queue(queue_id)
        decision = services.decide(
            queue=queue,
            example=self.example(queue, data["example"]),
            actor=request.actor,
            answer=data["answer"],
        )
        return Response(serializers.DecisionOutput(decision).data)
