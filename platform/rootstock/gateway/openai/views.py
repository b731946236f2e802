"""/api/openai/v1: models, embeddings and chat completions, as OpenAI's clients ask for them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from rootstock.common.api import ApiView, valid
from rootstock.gateway.background import Stream
from rootstock.gateway.inference import Piece, bases, chat, embed, model_find
from rootstock.gateway.late import LateAnswer
from rootstock.gateway.openai.chatting import Completion
from rootstock.gateway.openai.wire import ChatInput, EmbeddingsInput, embeddings_body, options_of
from rootstock.gateway.selectors import connections
from rootstock.gateway.virtual import virtual_chat, virtual_find, virtual_models
from rootstock.modelhub.models import Task
from rootstock.modelhub.selectors import deployment_list
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest

_SPEAKING = (Task.TEXT_EMBEDDING, Task.TEXT_GENERATION)


def _models() -> list[dict[str, Any]]:
    """Everything that embeddings and chat completions can be asked of."""

    def model(name: str, owner: str, created: float) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": int(created), "owned_by": owner}

    found = [
        model(row.name, "organisation", row.created_at.timestamp())
        for row in deployment_list().filter(task__in=_SPEAKING)
    ]
    found += [model(name, "rootstock", 0) for name in bases()]
    found += [model(each.name, each.owner, 0) for each in virtual_models()]
    for connection in connections():
        created = connection.created_at.timestamp()
        found += [
            model(f"{connection.name}/{name}", connection.name, created)
            for name in connection.offered
        ]
    return found


@extend_schema(exclude=True)
class ModelList(ApiView):
    """The models."""

    permission = Permission.MODELS_PREDICT

    def get(self, request: OrganisationRequest) -> Response:
        """List what can be asked."""
        return Response({"object": "list", "data": _models()})


@extend_schema(exclude=True)
class ModelView(ApiView):
    """One model."""

    permission = Permission.MODELS_PREDICT

    def get(self, request: OrganisationRequest, name: str) -> Response:
        """Read one of the list; a model of a connection that its server did not list is there all the same."""
        for model in _models():
            if model["id"] == name:
                return Response(model)
        target = model_find(name)
        return Response(
            {
                "id": target.name,
                "object": "model",
                "created": int(time.time()),
                "owned_by": name.partition("/")[0],
            }
        )


@extend_schema(exclude=True)
class Embeddings(ApiView):
    """Vectors of texts."""

    permission = Permission.MODELS_PREDICT
    http_method_names = ["post"]

    def post(self, request: OrganisationRequest) -> HttpResponse:
        """One vector for each text."""
        data = valid(EmbeddingsInput(data=request.data))
        target = model_find(data["model"])

        def finish() -> JsonResponse:
            found = embed(target, data["input"], dimensions=data.get("dimensions"))
            packed = data["encoding_format"] == "base64"
            body = embeddings_body(target.name, found.vectors, found.tokens, packed=packed)
            return JsonResponse(body)

        return LateAnswer(finish)


@extend_schema(exclude=True)
class ChatCompletions(ApiView):
    """The next reply of a conversation."""

    permission = Permission.MODELS_PREDICT
    http_method_names = ["post"]

    def post(self, request: OrganisationRequest) -> HttpResponse:
        """Write a reply, whole or streamed."""
        data = valid(ChatInput(data=request.data))
        include_usage = bool((data.get("stream_options") or {}).get("include_usage"))
        ask = _asking(data, request.organisation.pk)

        def finish() -> HttpResponseBase:
            stream = ask()
            completion = Completion(data["model"])
            if data.get("stream"):
                return completion.streamed(stream, include_usage=include_usage)
            return completion.whole(stream)

        return LateAnswer(finish)


def _asking(data: dict[str, Any], organisation_id: uuid.UUID) -> Callable[[], Stream[Piece]]:
    """What will ask the model that is named, after this transaction."""
    virtual = virtual_find(data["model"])
    if virtual is not None:
        return partial(virtual_chat, virtual, organisation_id, data["messages"])
    return partial(chat, model_find(data["model"]), data["messages"], options_of(data))
