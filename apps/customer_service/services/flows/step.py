"""What flows say to a message, as the assistant asks for it."""

from __future__ import annotations

from apps.customer_service.services.answering.flows_hook import FlowOutcome, FlowQuestion
from apps.customer_service.services.flows.runner import flow_advance

__all__ = ["flow_step"]


def flow_step(question: FlowQuestion) -> FlowOutcome | None:
    """What the flow that the message is in, or begins, says; None without one, and where it was left for an answer.

    The state of the run is committed here, before and after each call, with the message that it belongs to; there is
    nothing left to save with the reply.
    """
    reply = flow_advance(
        question.organisation_id,
        conversation_id=question.conversation,
        message_id=question.message,
        text=question.text,
        choice=question.choice,
        language=question.language,
        understanding=question,
    )
    if reply is None or reply.left:
        return None
    return FlowOutcome(
        body=reply.body,
        choices=tuple(dict(choice) for choice in reply.choices),
        hand_off=reply.hand_off,
        answer_first=reply.answer_first,
        trace=reply.trace,
    )
