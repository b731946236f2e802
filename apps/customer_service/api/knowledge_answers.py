"""REST of the knowledge: prepared answers, and asking by hand."""

from __future__ import annotations

import uuid

from django.http import HttpResponse, JsonResponse
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from apps.customer_service.api import knowledge_serializers as serializers
from apps.customer_service.api.knowledge import KnowledgeView
from apps.customer_service.selectors.knowledge import answer_get, answers_find
from apps.customer_service.services.answers import answer_remove, answer_save
from apps.customer_service.services.answers_import import answers_import_start
from apps.customer_service.services.hit_testing import Asked, Row, knowledge_ask
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
from rootstock.gateway.late import LateAnswer
from rootstock.jobs.api.views import JobOutput
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class AnswersView(KnowledgeView):
    """Prepared answers."""

    @extend_schema(
        operation_id="service_answers_list",
        parameters=[serializers.AnswerQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.PreparedAnswerOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the prepared answers, the newest first."""
        query = valid(serializers.AnswerQuery(data=request.query_params.dict()))
        found = answers_find(**query).order_by("-id")
        return paginate(self, request, found, serializers.PreparedAnswerOutput)

    @extend_schema(
        operation_id="service_answers_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.PreparedAnswerInput,
        responses={201: serializers.PreparedAnswerOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Write an answer into the draft; visitors get it with the next release."""
        data = valid(serializers.PreparedAnswerInput(data=request.data))
        answer = answer_save(values=data, actor=request.actor)
        return respond(answer, serializers.PreparedAnswerOutput(answer).data, status=201)


class AnswerView(KnowledgeView):
    """One prepared answer."""

    @extend_schema(operation_id="service_answers_read", responses=serializers.PreparedAnswerOutput)
    def get(self, request: OrganisationRequest, answer_id: uuid.UUID) -> Response:
        """Read one answer."""
        answer = answer_get(answer_id)
        return respond(answer, serializers.PreparedAnswerOutput(answer).data)

    @extend_schema(
        operation_id="service_answers_change",
        parameters=[IF_MATCH],
        request=serializers.PreparedAnswerChange,
        responses=serializers.PreparedAnswerOutput,
    )
    def patch(self, request: OrganisationRequest, answer_id: uuid.UUID) -> Response:
        """Change it in the draft; for whom it is holds at once."""
        answer = answer_get(answer_id)
        check_if_match(request, answer)
        data = valid(serializers.PreparedAnswerChange(data=request.data))
        answer = answer_save(values=data, actor=request.actor, answer=answer)
        return respond(answer, serializers.PreparedAnswerOutput(answer).data)

    @extend_schema(
        operation_id="service_answers_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, answer_id: uuid.UUID) -> Response:
        """Take it out of the draft; visitors lose it with the next release. It can be restored."""
        answer = answer_get(answer_id)
        check_if_match(request, answer)
        answer_remove(answer=answer, actor=request.actor)
        return Response(status=204)


class AnswerRestoreView(KnowledgeView):
    """Bringing an answer back."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="service_answers_restore",
        request=None,
        responses=serializers.PreparedAnswerOutput,
    )
    def post(self, request: OrganisationRequest, answer_id: uuid.UUID) -> Response:
        """Bring a removed answer back into the draft."""
        answer_remove(answer=answer_get(answer_id), actor=request.actor, removed=False)
        answer = answer_get(answer_id)
        return respond(answer, serializers.PreparedAnswerOutput(answer).data)


class AnswersImportView(KnowledgeView):
    """Many answers from a table."""

    http_method_names = ["post"]
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="service_answers_import",
        request={"multipart/form-data": serializers.TableInput},
        responses={202: JobOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Import a CSV or XLSX file of at most 8 MB and 5,000 rows; the job's result names every row left out."""
        file = valid(serializers.TableInput(data=request.data))["file"]
        job = answers_import_start(name=file.name, data=file.read(), actor=request.actor)
        return Response(JobOutput(job).data, status=202)


class AskView(ApiView):
    """Asking the knowledge by hand."""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_knowledge_ask",
        request=serializers.AskInput,
        responses={200: serializers.AskedOutput},
    )
    def post(self, request: OrganisationRequest) -> HttpResponse:
        """Find passages for a question, with everything that their rank is made of, and what would be said."""
        data = valid(serializers.AskInput(data=request.data))
        organisation_id = request.organisation.pk

        def finish() -> JsonResponse:
            asked = knowledge_ask(
                organisation_id,
                data["question"],
                audience=data["audience"],
                draft=data["draft"],
                weight=data["weight"],
            )
            return JsonResponse(_told(asked))

        return LateAnswer(finish)


def _told(asked: Asked) -> dict[str, object]:
    found = asked.search
    return {
        "results": [_row(row) for row in asked.rows],
        "model": found.model if found else "",
        "words_only": found.words_only if found else "",
        "weight": found.weight if found else None,
        "reranked": found.reranked if found else False,
        "seconds": found.seconds if found else {},
        "reply": serializers.SaidOutput(asked.reply).data if asked.reply else None,
        "problem": asked.problem,
    }


def _row(row: Row) -> dict[str, object]:
    document = row.passage.document
    whole = {"passage": row.passage, "title": document.title or document.key, "said": row.said}
    return dict(serializers.FoundOutput({**vars(row.hit), **whole}).data)
