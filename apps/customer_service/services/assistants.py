"""How the assistant answers: the organisation's settings, and those of channels that differ."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from apps.customer_service.models import UNMASKABLE, Assistant, Channel
from apps.customer_service.selectors.answering import RETRIEVAL_FIELDS, assistant_get
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid
from rootstock.gateway.inference import Local, model_find
from rootstock.modelhub.models import Deployment, Task

# What can be set of every assistant; the rest only of the organisation's.
FIELDS = (
    "composer", "generator", "template_threshold", "support_threshold", "blocked_words", "small_talk", "offer_people",
    "offer_people_after", "unmasked", "csat",
)  # fmt: skip
SHARED_FIELDS = ("vector_weight", "reranker")
MOST_BLOCKED = 500
LONGEST_BLOCKED = 100
MOST_MISSES = 20
_SHARES = ("template_threshold", "support_threshold", "vector_weight")


def assistant_update(
    *, values: Mapping[str, Any], actor: Actor, channel: Channel | None = None
) -> Assistant:
    """Change what is given. A channel that followed the organisation has settings of its own from then on: those of
    the organisation, with the change.

    Raises:
        Problem: 422 names the value that cannot be.
    """
    found = assistant_get(channel.pk if channel else None)
    assistant = found if found.channel_id == (channel.pk if channel else None) else _copy(found)
    assistant.channel = channel
    before = {name: getattr(assistant, name) for name in values}
    for name, value in values.items():
        if name not in (FIELDS if channel else FIELDS + SHARED_FIELDS):
            raise invalid(f"/{name}", _("This is set for the organisation, not for a channel."))
        setattr(assistant, name, value)
    _check(assistant)
    new = assistant._state.adding
    assistant.save(force_insert=new)
    changes = {
        name: [before[name], getattr(assistant, name)]
        for name in values
        if before[name] != getattr(assistant, name)
    }
    if changes or new:
        _record(actor, "service.assistant.update", channel, changes)
    return assistant


def assistant_follow(*, channel: Channel, actor: Actor) -> None:
    """Have a channel follow the organisation's settings again."""
    removed, _rows = Assistant.objects.filter(channel=channel).delete()
    if removed:
        _record(actor, "service.assistant.follow", channel, {})


def _copy(shared: Assistant) -> Assistant:
    own = Assistant(**{name: getattr(shared, name) for name in FIELDS})
    for name in RETRIEVAL_FIELDS:
        setattr(own, name, getattr(shared, name))
    return own


def _check(assistant: Assistant) -> None:
    for name in _SHARES:
        value = getattr(assistant, name)
        if value is not None and not 0 <= value <= 1:
            raise invalid(f"/{name}", _("A number from 0 to 1."))
    words = [" ".join(word.split()) for word in assistant.blocked_words]
    assistant.blocked_words = list(dict.fromkeys(word for word in words if word))
    if len(assistant.blocked_words) > MOST_BLOCKED or any(
        len(word) > LONGEST_BLOCKED or "\x00" in word for word in assistant.blocked_words
    ):
        raise invalid(
            "/blocked_words", _("There are at most 500 words, each of at most 100 characters.")
        )
    if not 1 <= assistant.offer_people_after <= MOST_MISSES:
        raise invalid("/offer_people_after", _("After 1 to 20 answers that did not help."))
    if set(assistant.unmasked) - set(UNMASKABLE):
        raise invalid(
            "/unmasked",
            _("Only these may stay as they are: %(kinds)s.") % {"kinds": ", ".join(UNMASKABLE)},
        )
    assistant.unmasked = sorted(set(assistant.unmasked))
    _check_models(assistant)


def _check_models(assistant: Assistant) -> None:
    """A generator must write, a reranker must judge pairs; both must be there when they are named."""
    assistant.generator = assistant.generator.strip()
    if assistant.composer == Assistant.Composer.GENERATOR and not assistant.generator:
        raise invalid("/generator", _("Name the model that writes."))
    if assistant.generator:
        try:
            model = model_find(assistant.generator)
        except Problem as problem:
            raise invalid(
                "/generator",
                _("There is no such model: it is a deployment, or a connection's name/model."),
            ) from problem
        if isinstance(model, Local) and model.task != Task.TEXT_GENERATION:
            raise invalid("/generator", _("This model writes no text."))
    assistant.reranker = assistant.reranker.strip()
    if (
        assistant.reranker
        and not Deployment.objects.filter(name=assistant.reranker, task=Task.RERANKING).exists()
    ):
        raise invalid("/reranker", _("There is no deployed reranker of this name."))


def _record(actor: Actor, action: str, channel: Channel | None, changes: dict[str, Any]) -> None:
    target_id: uuid.UUID | str = channel.pk if channel else ""
    audit_record(
        actor=actor,
        action=action,
        target=f"assistant of {channel.name}" if channel else "assistant",
        target_id=str(target_id),
        changes=changes,
    )
