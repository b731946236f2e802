"""REST of the knowledge: evaluation and releases."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from apps.customer_service.api import knowledge_serializers as serializers
from apps.customer_service.api.knowledge import KnowledgeView
from apps.customer_service.selectors.evaluation import (
    question_get,
    questions_find,
    run_get,
    runs_all,
)
from apps.customer_service.selectors.knowledge import changes_told, release_get, releases_all
from apps.customer_service.services.evaluation import evaluation_start
from apps.customer_service.services.evaluation_questions import (
    question_save,
    questions_export,
    questions_import,
)
from apps.customer_service.services.releases import (
    draft_state,
    evaluation_of,
    has_changes,
    live_state,
    release_changes,
    release_publish,
    release_roll_back,
)
from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest


class QuestionsView(KnowledgeView):
    """Questions to evaluate by."""

    @extend_schema(
        operation_id="service_questions_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.QuestionOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the questions, the newest first."""
        return paginate(self, request, questions_find(), serializers.QuestionOutput)

    @extend_schema(
        operation_id="service_questions_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.QuestionInput,
        responses={201: serializers.QuestionOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Add a question whose right source is known."""
        question = question_save(values=valid(serializers.QuestionInput(data=request.data)))
        return respond(question, serializers.QuestionOutput(question).data, status=201)


class QuestionView(KnowledgeView):
    """One question."""

    @extend_schema(operation_id="service_questions_read", responses=serializers.QuestionOutput)
    def get(self, request: OrganisationRequest, question_id: uuid.UUID) -> Response:
        """Read one question."""
        question = question_get(question_id)
        return respond(question, serializers.QuestionOutput(question).data)

    @extend_schema(
        operation_id="service_questions_change",
        parameters=[IF_MATCH],
        request=serializers.QuestionChange,
        responses=serializers.QuestionOutput,
    )
    def patch(self, request: OrganisationRequest, question_id: uuid.UUID) -> Response:
        """Change it."""
        question = question_get(question_id)
        check_if_match(request, question)
        data = valid(serializers.QuestionChange(data=request.data))
        question = question_save(values=data, question=question)
        return respond(question, serializers.QuestionOutput(question).data)

    @extend_schema(
        operation_id="service_questions_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, question_id: uuid.UUID) -> Response:
        """Take it away; runs that asked it keep their figures."""
        question = question_get(question_id)
        check_if_match(request, question)
        question.delete()
        return Response(status=204)


class QuestionsFileView(KnowledgeView):
    """All questions as a file."""

    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="service_questions_export",
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR},
    )
    def get(self, request: OrganisationRequest) -> HttpResponse:
        """All questions, a JSON object a line."""
        return HttpResponse(questions_export(as_csv=False), content_type="application/x-ndjson")

    @extend_schema(
        operation_id="service_questions_import",
        request={"multipart/form-data": serializers.TableInput},
        responses=serializers.QuestionImportOutput,
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Add the questions of a CSV or JSON lines file; lines that are left out are named."""
        file = valid(serializers.TableInput(data=request.data))["file"]
        imported = questions_import(file.read(), name=file.name)
        return Response(
            {
                "created": imported.created,
                "updated": imported.updated,
                "refused": [{"line": line, "detail": detail} for line, detail in imported.bad],
            }
        )


class EvaluationsView(KnowledgeView):
    """Runs of all questions."""

    @extend_schema(
        operation_id="service_evaluations_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.KnowledgeEvaluationOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the runs, the newest first."""
        return paginate(self, request, runs_all(), serializers.KnowledgeEvaluationOutput)

    @extend_schema(
        operation_id="service_evaluations_create",
        request=None,
        responses={201: serializers.KnowledgeEvaluationOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Ask all questions of the draft, in a job; 409 while they are being asked, or when there are none."""
        run = evaluation_start(actor=request.actor)
        return respond(run, serializers.KnowledgeEvaluationOutput(run).data, status=201)


class EvaluationView(KnowledgeView):
    """One run."""

    @extend_schema(
        operation_id="service_evaluations_read",
        responses=serializers.KnowledgeEvaluationDetailOutput,
    )
    def get(self, request: OrganisationRequest, run_id: uuid.UUID) -> Response:
        """Read a run with every question, and what went otherwise than in the run before."""
        run = run_get(run_id)
        return respond(run, serializers.KnowledgeEvaluationDetailOutput(run).data)


class DraftView(KnowledgeView):
    """What is not published yet."""

    @extend_schema(operation_id="service_draft", responses=serializers.DraftOutput)
    def get(self, request: OrganisationRequest) -> Response:
        """What a release now would change, and whether it has been evaluated."""
        draft = draft_state()
        changes = release_changes(live_state(), draft)
        run = evaluation_of(draft)
        body = {
            "draft": draft.fingerprint,
            "has_changes": has_changes(changes),
            "changes": changes_told(changes),
            "questions": questions_find().count(),
            "evaluation": run.pk if run else None,
            "passed": run.passed if run else None,
        }
        return Response(serializers.DraftOutput(body).data)


class ReleasesView(KnowledgeView):
    """What visitors are and were answered from."""

    @extend_schema(
        operation_id="service_releases_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.ReleaseOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the releases, the newest first: that is the one in force."""
        return paginate(self, request, releases_all(), serializers.ReleaseOutput)

    @extend_schema(
        operation_id="service_releases_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.ReleaseInput,
        responses={201: serializers.ReleaseDetailOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Answer visitors from the draft. 409 says why not: nothing new, not evaluated, or worse than before."""
        data = valid(serializers.ReleaseInput(data=request.data))
        release = release_publish(actor=request.actor, **data)
        return respond(release, serializers.ReleaseDetailOutput(release).data, status=201)


class ReleaseView(KnowledgeView):
    """One release."""

    @extend_schema(operation_id="service_releases_read", responses=serializers.ReleaseDetailOutput)
    def get(self, request: OrganisationRequest, number: int) -> Response:
        """Read a release and what it changed."""
        release = release_get(number)
        return respond(release, serializers.ReleaseDetailOutput(release).data)


class ReleaseBackView(KnowledgeView):
    """Going back."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="service_releases_roll_back",
        request=serializers.RollBackInput,
        responses={201: serializers.ReleaseDetailOutput},
    )
    def post(self, request: OrganisationRequest, number: int) -> Response:
        """Answer visitors from what an earlier release had, as a new release; the draft stays as it is."""
        data = valid(serializers.RollBackInput(data=request.data))
        release = release_roll_back(number=number, actor=request.actor, comment=data["comment"])
        return respond(release, serializers.ReleaseDetailOutput(release).data, status=201)
