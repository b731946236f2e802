"""/api/v1/finance/entities and mentions"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.finance_sentiment.api import entity_serializers as serializers
from apps.finance_sentiment.inference import InferenceUnavailable, ModelUnusable
from apps.finance_sentiment.models import Alias, Document, Entity, Mention
from apps.finance_sentiment.selectors.entities import entities_find
from apps.finance_sentiment.services.entities import (
    MAX_BATCH,
    EntityRefused,
    IncomingEntity,
    alias_remove,
    entities_take,
    entity_parse,
    entity_remove,
)
from apps.finance_sentiment.services.explaining import (
    Explanation,
    NotExplained,
    document_explain,
    mention_explain,
)
from apps.finance_sentiment.services.mentions import mention_decide, name_learn
from apps.finance_sentiment.services.relinking import relink_start
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate
from rootstock.common.problems import Problem, invalid
from rootstock.gateway.late import LateAnswer
from rootstock.outbox.idempotency import idempotent
from rootstock.tenancy.permissions import Permission


class EntitiesView(ApiView):
    """Entities: find and store them."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_entities_list",
        parameters=[serializers.EntityFilter, *PAGE_PARAMETERS],
        responses=page_of(serializers.EntityOutput),
    )
    def get(self, request: Request) -> Response:
        """Find entities."""
        wanted = serializers.EntityFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        return paginate(
            self, request, entities_find(**wanted.validated_data), serializers.EntityOutput
        )

    @extend_schema(
        operation_id="finance_entities_take",
        request=serializers.EntityBatchInput,
        responses={202: serializers.EntityBatchOutput},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Store up to 1,000 entities with their names and listings, all or none; stored documents are read anew.

        An entity that is there already is completed: nothing is removed from it.
        """
        entities = _parse(request.data)
        actor = request.actor  # type: ignore[attr-defined]
        try:
            report = entities_take(entities=entities, actor=actor)
        except EntityRefused as error:
            raise invalid(f"/entities/{error.field}".rstrip("/"), str(error)) from error
        job = relink_start(actor=actor, title=_("Read documents anew by the names"))
        return Response({**report.as_json(), "job": str(job.pk)}, status=202)


class EntityView(ApiView):
    """One entity."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_entities_get", responses={200: serializers.EntityDetailOutput}
    )
    def get(self, request: Request, entity_id: uuid.UUID) -> Response:
        """An entity with its names and listings."""
        return Response(
            serializers.EntityDetailOutput(get_object_or_404(Entity, pk=entity_id)).data
        )

    @extend_schema(operation_id="finance_entities_delete", responses={204: None})
    def delete(self, request: Request, entity_id: uuid.UUID) -> Response:
        """Forget an entity; its mentions stay, without it."""
        entity = get_object_or_404(Entity, pk=entity_id)
        entity_remove(entity=entity, actor=request.actor)  # type: ignore[attr-defined]
        return Response(status=204)


class AliasView(ApiView):
    """One name of an entity."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(operation_id="finance_aliases_delete", responses={204: None})
    def delete(self, request: Request, alias_id: uuid.UUID) -> Response:
        """Take a name away."""
        alias = get_object_or_404(Alias.objects.select_related("entity"), pk=alias_id)
        alias_remove(alias=alias, actor=request.actor)  # type: ignore[attr-defined]
        return Response(status=204)


class MentionsView(ApiView):
    """Mentions."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_mentions_list",
        parameters=[serializers.MentionFilter, *PAGE_PARAMETERS],
        responses=page_of(serializers.MentionOutput),
    )
    def get(self, request: Request) -> Response:
        """Where entities are named; `state=review` are those that wait for a decision."""
        wanted = serializers.MentionFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        rows = Mention.objects.filter(**wanted.validated_data)
        return paginate(self, request, rows, serializers.MentionOutput)


class DecisionView(ApiView):
    """Deciding who is meant."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_mentions_decide",
        request=serializers.MentionDecisionInput,
        responses={200: serializers.MentionDecisionOutput},
    )
    def post(self, request: Request, mention_id: uuid.UUID) -> Response:
        """Say who is meant by the words; linking anew leaves that alone."""
        mention = get_object_or_404(Mention, pk=mention_id)
        given = serializers.MentionDecisionInput(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        entity = None
        if values["entity"] is not None:
            entity = Entity.objects.filter(pk=values["entity"]).first()
            if entity is None:
                raise invalid("/entity", _("There is no such entity."))
        count = mention_decide(
            mention=mention,
            actor=request.actor,  # type: ignore[attr-defined]
            entity=entity,
            everywhere=values["everywhere"],
        )
        if entity is not None and values["learn"]:
            name_learn(mention=mention, entity=entity)
        return Response({"decided": count})


class DocumentExplanationView(ApiView):
    """Why a document was judged so."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_documents_explain",
        responses={200: serializers.ExplanationOutput},
    )
    def get(self, request: Request, document_id: uuid.UUID) -> LateAnswer:
        """What each word does for the sentiment of a document, asked of the deployed model now."""
        document = get_object_or_404(Document, pk=document_id)
        return explain_late(lambda: document_explain(document))


class MentionExplanationView(ApiView):
    """Why a document speaks so of somebody."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_mentions_explain",
        responses={200: serializers.ExplanationOutput},
    )
    def get(self, request: Request, mention_id: uuid.UUID) -> LateAnswer:
        """What each word does for the sentiment towards whom a mention names."""
        mention = get_object_or_404(Mention.objects.select_related("document"), pk=mention_id)
        return explain_late(lambda: mention_explain(mention))


def explain_late(prepare: Callable[[], Callable[[], Explanation]]) -> LateAnswer:
    """The answer of an explanation, given after the request's transaction.

    Raises:
        Problem: 409 where there is nothing to explain; the answer itself is 503 when no model answers.
    """
    try:
        ask = prepare()
    except NotExplained as error:
        raise Problem(409, "not-explained", str(error)) from error

    def finish() -> JsonResponse:
        try:
            return JsonResponse(ask().as_json())
        except (InferenceUnavailable, ModelUnusable) as error:
            raise Problem(503, "inference-unavailable", str(error)) from error

    return LateAnswer(finish)


def _parse(data: Any) -> list[IncomingEntity]:
    """The entities of a request's body.

    Raises:
        Problem: 422 that names every entity at fault.
    """
    raw = data.get("entities") if isinstance(data, dict) else None
    if not isinstance(raw, list) or not raw:
        raise invalid("/entities", _("This must be a list of entities."))
    if len(raw) > MAX_BATCH:
        raise invalid(
            "/entities", _("At most %(limit)d are taken in one call.") % {"limit": MAX_BATCH}
        )
    found, faults = [], []
    for place, item in enumerate(raw):
        try:
            found.append(entity_parse(item))
        except EntityRefused as error:
            pointer = f"/entities/{place}" + (f"/{error.field}" if error.field else "")
            faults.append({"pointer": pointer, "detail": str(error)})
    if faults:
        raise Problem(422, "invalid", _("Some entities are not valid."), errors=faults[:1000])
    return found
