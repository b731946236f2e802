"""The desk's lists: labels, canned replies, saved views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.customer_service.models import (
    CannedReply,
    Conversation,
    ConversationLabel,
    Macro,
    SavedView,
)
from apps.customer_service.services.refusals import taken
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import invalid
from rootstock.tenancy.models import Membership

LANGUAGES = ("en", "zh")
# What a saved view may hold: the filters of the inbox and its order.
FILTERS = frozenset(
    {"status", "assignee", "channel", "language", "emotion", "label", "priority", "q", "sort"}
)


def label_save(
    *, name: str, colour: str, actor: Actor, label: ConversationLabel | None = None
) -> ConversationLabel:
    """Make a label, or change it; conversations follow a new name.

    Raises:
        Problem: 409 for a name that is taken.
    """
    label = label or ConversationLabel()
    before = label.name
    label.name, label.colour = name.strip(), colour
    save_once(label, "/name")
    if before and before != label.name:
        for conversation in Conversation.objects.select_for_update().filter(
            labels__contains=[before]
        ):
            conversation.labels = [label.name if x == before else x for x in conversation.labels]
            conversation.save(update_fields=["labels", "updated_at"])
    list_record(actor, "service.label.save", label, label.name)
    return label


def canned_save(
    *, short: str, bodies: Mapping[str, str], actor: Actor, canned: CannedReply | None = None
) -> CannedReply:
    """Make a canned reply, or change it.

    Raises:
        Problem: 422 without a text, 409 for a short name that is taken.
    """
    kept = {key: text for key, text in bodies.items() if key in LANGUAGES and text.strip()}
    if not kept:
        raise invalid("/bodies", _("A canned reply needs a text in at least one language."))
    canned = canned or CannedReply()
    canned.short, canned.bodies = short.strip().lstrip("/").lower(), kept
    if not canned.short or any(c.isspace() for c in canned.short):
        raise invalid("/short", _("A short name is one word, such as “hours”."))
    save_once(canned, "/short")
    list_record(actor, "service.canned.save", canned, canned.short)
    return canned


def view_save(*, name: str, filters: Mapping[str, Any], member: Membership | None) -> SavedView:
    """Keep filters under a name: a member's own, or everybody's without one. The same name is replaced.

    Raises:
        Problem: 422 for a view without a name, or with something that is no filter.
    """
    if not 1 <= len(name.strip()) <= 80:
        raise invalid("/name", _("A view has a name of 1 to 80 characters."))
    unknown = set(filters) - FILTERS
    if unknown:
        raise invalid(
            "/filters", _("Not filters: %(names)s.") % {"names": ", ".join(sorted(unknown))}
        )
    kept = {key: str(value)[:200] for key, value in filters.items() if value not in (None, "")}
    view, _created = SavedView.objects.update_or_create(
        name=name.strip(), member=member, defaults={"filters": kept}
    )
    return view


def list_row_delete(
    *, row: ConversationLabel | CannedReply | Macro | SavedView, actor: Actor, action: str
) -> None:
    """Take a label, canned reply, macro or view off its list."""
    list_record(actor, action, row, str(row))
    row.delete()


def canned_text(canned: CannedReply, language: str) -> str:
    """Its text in the language, else in any that it has."""
    return str(canned.bodies.get(language) or next(iter(canned.bodies.values()), ""))


def filled(text: str, *, conversation: Conversation, member: Membership | None) -> str:
    """`{customer}` and `{agent}` replaced by their names; a name that is not known leaves nothing."""
    agent = member.user.name if member else ""
    return text.replace("{customer}", conversation.visitor.name).replace("{agent}", agent)


def save_once(row: ConversationLabel | CannedReply | Macro, pointer: str) -> None:
    """Save a row whose name must be its own.

    Raises:
        Problem: 409 for a name that is taken.
    """
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise taken(pointer, _("This name is taken.")) from error


def list_record(actor: Actor, action: str, row: Any, target: str) -> None:
    """Into the audit log."""
    audit_record(actor=actor, action=action, target=target, target_id=str(row.pk))
