"""Several steps at one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.customer_service.models import CannedReply, Conversation, Macro
from apps.customer_service.services.conversations import (
    conversation_assign,
    conversation_resolve,
    conversation_return,
)
from apps.customer_service.services.desk import (
    agent_reply,
    conversation_label,
    conversation_prioritise,
    note_add,
)
from apps.customer_service.services.lists import canned_text, filled, list_record, save_once
from apps.customer_service.services.sla import HIGHEST_PRIORITY
from rootstock.common.actors import Actor
from rootstock.common.problems import invalid
from rootstock.tenancy.models import Membership

MOST_STEPS = 10
LONGEST_TEXT = 4000
# Nothing can follow these: the conversation is no longer the agent's.
_LAST = ("resolve", "return")


def macro_save(
    *, name: str, steps: Sequence[Any], actor: Actor, macro: Macro | None = None
) -> Macro:
    """Make a macro, or change it.

    Args:
        steps: {"do": "reply"|"note", "text"}, {"do": "reply", "canned": its short name}, {"do": "label", "label"},
            {"do": "priority", "priority": 0 to 3}, {"do": "assign"} (to whoever runs it), {"do": "resolve"},
            {"do": "return"}.

    Raises:
        Problem: 422 that names the step, 409 for a name that is taken.
    """
    if not 1 <= len(name.strip()) <= 80:
        raise invalid("/name", _("A macro has a name of 1 to 80 characters."))
    if not 1 <= len(steps) <= MOST_STEPS:
        raise invalid("/steps", _("A macro has 1 to %(n)d steps.") % {"n": MOST_STEPS})
    for place, step in enumerate(steps):
        problem = _fault(step, is_last=place == len(steps) - 1)
        if problem:
            raise invalid(f"/steps/{place}", problem)
    macro = macro or Macro()
    macro.name, macro.steps = name.strip(), [dict(step) for step in steps]
    save_once(macro, "/name")
    list_record(actor, "service.macro.save", macro, macro.name)
    return macro


def macro_run(
    *, macro: Macro, conversation: Conversation, member: Membership | None, actor: Actor
) -> Conversation:
    """Take all steps of a macro, or, where one is refused, none.

    Raises:
        Problem: what a step was refused with.
    """
    for step in macro.steps:
        _STEPS[step["do"]](step, conversation, member, actor)
    return conversation


def _fault(step: Any, *, is_last: bool) -> str:
    """What is wrong with a step, in words; nothing when it can be taken."""
    if not isinstance(step, dict) or step.get("do") not in _STEPS:
        return _("A step does one of: %(names)s.") % {"names": ", ".join(_STEPS)}
    do = step["do"]
    text = step.get("canned") if step.get("canned") and do == "reply" else step.get("text")
    if do in ("reply", "note") and not (isinstance(text, str) and 1 <= len(text) <= LONGEST_TEXT):
        return _("A reply and a note have a text of 1 to 4,000 characters.")
    if do == "label" and not (isinstance(step.get("label"), str) and step["label"].strip()):
        return _("A label has 1 to 60 characters.")
    if do == "priority" and step.get("priority") not in range(HIGHEST_PRIORITY + 1):
        return _("A priority is a number from 0 to 3.")
    if do in _LAST and not is_last:
        return _("Nothing can follow once the conversation is resolved or given back.")
    return ""


def _text(step: Mapping[str, Any], conversation: Conversation, member: Membership | None) -> str:
    text = str(step.get("text", ""))
    if step.get("canned"):
        canned = CannedReply.objects.filter(short=step["canned"]).first()
        if canned is None:
            raise invalid(
                "/steps", _("There is no canned reply “%(short)s”.") % {"short": step["canned"]}
            )
        text = canned_text(canned, conversation.language)
    return filled(text, conversation=conversation, member=member)


def _reply(
    step: Mapping[str, Any], conversation: Conversation, member: Membership | None, actor: Actor
) -> None:
    text = _text(step, conversation, member)
    agent_reply(conversation=conversation, body=text, member=member, actor=actor)


def _note(
    step: Mapping[str, Any], conversation: Conversation, member: Membership | None, actor: Actor
) -> None:
    text = _text(step, conversation, member)
    note_add(conversation=conversation, body=text, member=member, actor=actor)


def _label(
    step: Mapping[str, Any], conversation: Conversation, member: Membership | None, actor: Actor
) -> None:
    labels = [*conversation.labels, step["label"]]
    conversation_label(conversation=conversation, labels=labels, actor=actor)


def _priority(
    step: Mapping[str, Any], conversation: Conversation, member: Membership | None, actor: Actor
) -> None:
    conversation_prioritise(conversation=conversation, priority=step["priority"], actor=actor)


def _assign(
    step: Mapping[str, Any], conversation: Conversation, member: Membership | None, actor: Actor
) -> None:
    if member is None:
        raise invalid("/steps", _("A key cannot have a conversation assigned to it."))
    conversation_assign(conversation=conversation, member=member, actor=actor)


def _resolve(
    step: Mapping[str, Any], conversation: Conversation, member: Membership | None, actor: Actor
) -> None:
    conversation_resolve(conversation=conversation, actor=actor)


def _return(
    step: Mapping[str, Any], conversation: Conversation, member: Membership | None, actor: Actor
) -> None:
    conversation_return(conversation=conversation, actor=actor)


_STEPS: dict[str, Callable[[Mapping[str, Any], Conversation, Membership | None, Actor], None]] = {
    "reply": _reply,
    "note": _note,
    "label": _label,
    "priority": _priority,
    "assign": _assign,
    "resolve": _resolve,
    "return": _return,
}
