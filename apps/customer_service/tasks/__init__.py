"""Handlers of outbox messages and kinds of jobs: one module a part, all imported when the workers start."""

from __future__ import annotations

from apps.customer_service.tasks import answering, desk, dialogues, flows, knowledge, learning

__all__ = ["answering", "desk", "dialogues", "flows", "knowledge", "learning"]
