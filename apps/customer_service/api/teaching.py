"""/api/v1/service/learning: how far each model is, and the steps by which it learns."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.customer_service.selectors.teaching import lesson_get, lesson_json
from apps.customer_service.services.learning.recipes import RECIPES
from apps.customer_service.services.learning.teaching import LESSON_STEPS, STEPS, recipe_get
from rootstock.common.api import ApiView
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class LessonSourceOutput(serializers.Serializer[Any]):
    """Where rows come from."""

    key = serializers.CharField()
    waiting = serializers.IntegerField(help_text="Rows not collected yet; 500 means that or more.")
    added = serializers.IntegerField()


class LessonOutput(serializers.Serializer[Any]):
    """How far a model is; `step` is what to do next."""

    model = serializers.CharField()
    step = serializers.ChoiceField([*STEPS, "training", "checking", "refused", ""])
    dataset = serializers.UUIDField(allow_null=True)
    sources = LessonSourceOutput(many=True)
    waiting = serializers.IntegerField()
    labelled = serializers.IntegerField()
    unlabelled = serializers.IntegerField()
    labels = serializers.IntegerField(help_text="Different labels.")
    new_labels = serializers.IntegerField(help_text="Labelled rows that no run has seen.")
    queue = serializers.UUIDField(allow_null=True)
    run = serializers.UUIDField(allow_null=True)
    run_state = serializers.CharField(allow_blank=True)
    version = serializers.UUIDField(allow_null=True)
    version_label = serializers.CharField(allow_blank=True)
    macro_f1 = serializers.FloatField(allow_null=True)
    gate_passed = serializers.BooleanField(allow_null=True)
    deployed = serializers.CharField(allow_blank=True)


class LessonListOutput(serializers.Serializer[Any]):
    """All models."""

    results = LessonOutput(many=True)


class LessonBaseView(ApiView):
    """Seen by whoever sets up the service; the steps are for whoever may change models as well."""

    permission = Permission.SERVICE_WRITE
    write_permission = Permission.MODELS_WRITE


class LessonsView(LessonBaseView):
    """The models of the customer service."""

    @extend_schema(operation_id="service_learning_list", responses=LessonListOutput)
    def get(self, request: OrganisationRequest) -> Response:
        """Say how far each model is."""
        results = [lesson_json(lesson_get(recipe)) for recipe in RECIPES.values()]
        return Response({"results": results})


class LessonView(LessonBaseView):
    """One model."""

    @extend_schema(operation_id="service_learning_read", responses=LessonOutput)
    def get(self, request: OrganisationRequest, model: str) -> Response:
        """Say how far a model is."""
        return Response(lesson_json(lesson_get(recipe_get(model))))


class LessonStepView(LessonBaseView):
    """A step of a model's learning."""

    @extend_schema(
        operation_id="service_learning_step",
        parameters=[OpenApiParameter("step", str, OpenApiParameter.PATH, enum=STEPS)],
        request=None,
        responses={200: LessonOutput},
    )
    def post(self, request: OrganisationRequest, model: str, step: str) -> Response:
        """Collect rows, have them labelled, train, check, or deploy; answers how far the model is then."""
        recipe = recipe_get(model)
        if step not in LESSON_STEPS:
            raise Http404("no such step")
        LESSON_STEPS[step](recipe=recipe, actor=request.actor)
        return Response(lesson_json(lesson_get(recipe)))
