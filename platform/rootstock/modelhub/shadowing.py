"""Asking a shadow version what the deployed one has answered already, in the background."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from rootstock.modelhub.inference import (
    DeploymentResult,
    ModelUnusable,
    classify,
    version_target,
)
from rootstock.modelhub.models import Deployment
from rootstock.outbox.handlers import message_scope

logger = logging.getLogger(__name__)


def shadow_ask(payload: dict[str, Any]) -> DeploymentResult | None:
    """What the present shadow of the deployment says to the texts of a message; None when there is none any more.

    Raises:
        InferenceUnavailable: the message is sent again later.
    """
    with message_scope():
        slot = (
            Deployment.objects.select_related("shadow")
            .filter(pk=uuid.UUID(payload["deployment"]))
            .first()
        )
    if slot is None or slot.shadow is None:
        return None
    shadow = slot.shadow
    target = version_target(slot, shadow)
    try:
        return classify(
            {slot.name: target}, {slot.name: [item["text"] for item in payload["asked"]]}
        )[slot.name]
    except ModelUnusable:
        logger.warning(
            "the shadow %s of %s cannot be asked", shadow.label, slot.name, exc_info=True
        )
        return None
