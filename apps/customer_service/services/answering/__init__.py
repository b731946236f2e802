"""Answering: a question goes through small named steps, each of which leaves its result and time in the trace.

`questions` says what is asked and answered, `pipeline` is the order of the steps, `replying` does it for the messages
of conversations. `steps` is the state that they share; each other module is one step or what one needs.
"""

from __future__ import annotations

from apps.customer_service.services.answering.pipeline import answer
from apps.customer_service.services.answering.questions import (
    Question,
    Reply,
    Turn,
    Unavailable,
)

__all__ = ["Question", "Reply", "Turn", "Unavailable", "answer"]
