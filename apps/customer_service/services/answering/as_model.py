"""The assistant as a model of OpenAI's protocol: turns in, a reply with its sources out, nothing stored.

Whoever may ask models asks as a visitor of no channel would: from what is published for everybody. Turns of the role
system are not followed: an assistant that is held to its sources takes no orders.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from apps.customer_service.services.answering.pipeline import answer
from apps.customer_service.services.answering.questions import Question, Reply, Unavailable
from rootstock.common.problems import Problem
from rootstock.gateway.virtual import Say, VirtualModel

NAME = "assistant"
LONGEST_QUESTION = 4000
_AUTHORS = {"user": "visitor", "assistant": "assistant"}


def write(organisation_id: uuid.UUID, messages: Sequence[Mapping[str, str]], say: Say) -> None:
    """Answer the last turn, which is a user's.

    Raises:
        Problem: 422, the last turn is nobody's question or too long; 503, the search does not answer.
    """
    *before, last = [turn for turn in messages if turn["role"] in _AUTHORS]
    if last["role"] != "user":
        raise _refused("The last message must be the user's.")
    if len(last["content"]) > LONGEST_QUESTION:
        raise _refused(f"A question has at most {LONGEST_QUESTION} characters.")
    turns = [(_AUTHORS[turn["role"]], turn["content"]) for turn in before]
    try:
        reply = answer(organisation_id, Question(last["content"], turns=turns), say=say)
    except Unavailable as error:
        raise Problem(
            503, "search-unavailable", str(error), headers={"Retry-After": "2"}
        ) from error
    if reply.citations:
        say(f"\n\n{sources_told(reply)}")


def sources_told(reply: Reply) -> str:
    """A line a source, with the number by which the reply cites it."""
    return "\n".join(
        " ".join(
            filter(
                None,
                [
                    f"[{cited['number']}]",
                    cited["title"],
                    f"(p. {cited['page']})" if cited["page"] else "",
                    cited["url"],
                ],
            )
        )
        for cited in reply.citations
    )


def _refused(detail: str) -> Problem:
    return Problem(422, "invalid", detail, errors=[{"pointer": "/messages", "detail": detail}])


MODEL = VirtualModel(NAME, "rootstock", write)
