"""Where flows take part in an answer.

The part that runs flows registers one function; without it there are no flows. The function is called outside of any
transaction, because a flow may call the company's own system, and what it wants to be written is handed back: the
reply and the state of the flow are one commit, so a worker that dies in between has done neither.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.customer_service.services.answering.questions import Question


@dataclass(frozen=True)
class FlowQuestion:
    """What a flow is told of a visitor's message. `text` is as it was typed: an order number must not be masked.

    `message` is the visitor's message: what a flow does for it has been done when the same id comes again.
    """

    organisation_id: uuid.UUID
    conversation: uuid.UUID
    message: uuid.UUID
    text: str
    choice: str
    language: str
    intent: str = ""
    probability: float = 0.0
    in_scope: bool | None = None


@dataclass(frozen=True)
class FlowOutcome:
    """What a flow says. `hand_off`: the reason for which people take over, or empty. `answer_first`: the message asks
    something else; that is answered, and `body` follows, which asks again. `trace`: for agents, without personal
    data."""

    body: str
    choices: tuple[dict[str, Any], ...] = ()
    hand_off: str = ""
    answer_first: bool = False
    trace: dict[str, Any] = field(default_factory=dict)


FlowStep = Callable[[FlowQuestion], FlowOutcome | None]
_steps: list[FlowStep] = []


def register(step: FlowStep) -> None:
    """Have this asked about every message: None where no flow runs, none begins, or it is left for an answer."""
    _steps[:] = [step]


def flow_outcome(
    organisation_id: uuid.UUID,
    question: Question,
    *,
    language: str,
    intent: str = "",
    probability: float = 0.0,
    in_scope: bool | None = None,
) -> FlowOutcome | None:
    """What the flows say to a visitor's message; a question that belongs to no conversation begins none."""
    if not _steps or question.conversation is None or question.message is None:
        return None
    return _steps[0](
        FlowQuestion(
            organisation_id=organisation_id,
            conversation=question.conversation,
            message=question.message,
            text=question.text,
            choice=question.choice,
            language=language,
            intent=intent,
            probability=probability,
            in_scope=in_scope,
        )
    )
