"""What agents do with a conversation: answer, note, label, rank, hand on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from apps.customer_service.models import (
    Attachment,
    Conversation,
    ConversationLabel,
    Message,
    Suggestion,
)
from apps.customer_service.services.conversations import (
    conversation_assign,
    conversation_labels_set,
    conversation_priority_set,
)
from apps.customer_service.services.messages import AGENT_LIMIT, message_add
from apps.customer_service.services.sla import HIGHEST_PRIORITY
from apps.customer_service.services.suggestions import suggestion_settle
from rootstock.common.actors import Actor
from rootstock.common.problems import invalid
from rootstock.tenancy.models import Membership

MOST_LABELS = 20


def agent_reply(
    *,
    conversation: Conversation,
    body: str,
    member: Membership | None,
    actor: Actor,
    client_id: str = "",
    attachments: Sequence[Attachment] = (),
    suggestion: Suggestion | None = None,
) -> Message:
    """Answer the customer. Whoever answers a conversation has it from then on.

    Args:
        suggestion: the proposal that the answer began as; sent unchanged it brings its sources along.

    Raises:
        Problem: 422 for an answer without words and files, or too long a one.
    """
    if not body.strip() and not attachments:
        raise invalid("/body", _("An answer needs words or a file."))
    _check_length(body)
    same = suggestion is not None and body.strip() == suggestion.body.strip()
    message = message_add(
        conversation=conversation,
        author=Message.Author.AGENT,
        body=body,
        member=member,
        actor=actor,
        client_id=client_id,
        attachments=attachments,
        suggestion=suggestion,
        citations=suggestion.citations if suggestion is not None and same else (),
    )
    if suggestion is not None:
        suggestion_settle(suggestion=suggestion, sent_body=body)
    return message


def note_add(
    *,
    conversation: Conversation,
    body: str,
    member: Membership | None,
    actor: Actor,
    client_id: str = "",
) -> Message:
    """Write something that only agents see.

    Raises:
        Problem: 422 for a note without words, or too long a one.
    """
    if not body.strip():
        raise invalid("/body", _("A note needs words."))
    _check_length(body)
    return message_add(
        conversation=conversation,
        author=Message.Author.NOTE,
        body=body,
        member=member,
        actor=actor,
        client_id=client_id,
    )


def conversation_label(
    *, conversation: Conversation, labels: Iterable[str], actor: Actor
) -> Conversation:
    """Give a conversation exactly these labels; those that are new to the organisation are made.

    Raises:
        Problem: 422 for a label without a name or too long, or too many.
    """
    wanted = list(dict.fromkeys(label.strip() for label in labels))
    if len(wanted) > MOST_LABELS:
        raise invalid("/labels", _("There are at most %(n)d labels.") % {"n": MOST_LABELS})
    if any(not 1 <= len(label) <= 60 for label in wanted):
        raise invalid("/labels", _("A label has 1 to 60 characters."))
    ConversationLabel.objects.bulk_create(
        [ConversationLabel(name=label) for label in wanted], ignore_conflicts=True
    )
    return conversation_labels_set(conversation=conversation, labels=wanted, actor=actor)


def conversation_prioritise(
    *, conversation: Conversation, priority: int, actor: Actor
) -> Conversation:
    """Set how urgent it is, from 0 (none) to 3 (urgent).

    Raises:
        Problem: 422 for another number.
    """
    if not 0 <= priority <= HIGHEST_PRIORITY:
        raise invalid("/priority", _("A priority is a number from 0 to 3."))
    return conversation_priority_set(conversation=conversation, priority=priority, actor=actor)


def conversation_transfer(
    *,
    conversation: Conversation,
    member: Membership,
    actor: Actor,
    note: str = "",
    author: Membership | None = None,
) -> Conversation:
    """Hand a conversation to another agent, with a word for them."""
    if note.strip():
        note_add(conversation=conversation, body=note, member=author, actor=actor)
    return conversation_assign(conversation=conversation, member=member, actor=actor)


def _check_length(body: str) -> None:
    if len(body) > AGENT_LIMIT:
        raise invalid("/body", _("At most %(n)d characters.") % {"n": AGENT_LIMIT})
