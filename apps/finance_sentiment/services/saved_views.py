"""Keeping a search or a setting of the board under a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import SavedView
from apps.finance_sentiment.selectors.saved_views import owner_of
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid

# What may stand in the address of each page.
FIELDS: Final = {
    SavedView.Page.SEARCH: (
        *("q", "order", "topic", "sentiment", "source", "entity", "language", "event"),
        *("portfolio", "range", "from", "to"),
    ),
    SavedView.Page.BOARD: ("q", "topic", "sentiment", "source", "language", "range", "from", "to"),
}
LONGEST: Final = 200
MOST: Final = 200


def saved_view_create(
    *,
    actor: Actor,
    page: str,
    name: str,
    query: Mapping[str, object],
    is_shared: bool,
    may_share: bool,
) -> SavedView:
    """A view of the one who makes it; what a key makes is everybody's.

    Raises:
        Problem: 422 for a name or query that cannot be; 403 for sharing without the right; 409 for a name that is
            taken, or too many views.
    """
    view = SavedView(page=page, owner_id=owner_of(actor))
    if SavedView.objects.filter(owner_id=view.owner_id).count() >= MOST:
        raise Problem(409, "too-many", _("At most %(most)d views.") % {"most": MOST})
    return _store(
        view, actor, "create", name=name, query=query, is_shared=is_shared, may_share=may_share
    )


def saved_view_update(
    *,
    view: SavedView,
    actor: Actor,
    name: str,
    query: Mapping[str, object],
    is_shared: bool,
    may_share: bool,
) -> SavedView:
    """Change a view of one's own; its page stays.

    Raises:
        Problem: as for `saved_view_create`; 403 for somebody else's.
    """
    _owned(view, actor, may_share=may_share)
    return _store(
        view, actor, "update", name=name, query=query, is_shared=is_shared, may_share=may_share
    )


def saved_view_delete(*, view: SavedView, actor: Actor, may_share: bool) -> None:
    """Take a view of one's own away, for everybody who sees it.

    Raises:
        Problem: 403 for somebody else's.
    """
    _owned(view, actor, may_share=may_share)
    audit_record(
        actor=actor, action="finance.view.delete", target=view.name, target_id=str(view.pk)
    )
    view.delete()


def saved_view_is_own(view: SavedView, actor: Actor, *, may_share: bool) -> bool:
    """Whether somebody may change a view: their own, or one that a key made, if they may share."""
    if view.owner_id is None:
        return may_share
    return view.owner_id == owner_of(actor)


def _owned(view: SavedView, actor: Actor, *, may_share: bool) -> None:
    if not saved_view_is_own(view, actor, may_share=may_share):
        raise Problem(403, "not-yours", _("Only who made this view can change it."))


def _store(
    view: SavedView,
    actor: Actor,
    act: str,
    *,
    name: str,
    query: Mapping[str, object],
    is_shared: bool,
    may_share: bool,
) -> SavedView:
    is_shared = is_shared or view.owner_id is None
    if is_shared and not may_share:
        raise Problem(403, "forbidden", _("Your role may keep views for itself, not share them."))
    view.name, view.is_shared = _name(name), is_shared
    view.query = _kept(view.page, query)
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError as error:
        raise Problem(
            409,
            "name-taken",
            _("A view has this name already."),
            errors=[{"pointer": "/name", "detail": _("A view has this name already.")}],
        ) from error
    audit_record(
        actor=actor,
        action=f"finance.view.{act}",
        target=view.name,
        target_id=str(view.pk),
        changes={"query": view.query, "is_shared": view.is_shared},
    )
    return view


def _name(name: str) -> str:
    name = name.replace("\x00", "").strip()
    if not 1 <= len(name) <= 80:
        raise invalid("/name", _("A view has a name of 1 to 80 characters."))
    return name


def _kept(page: str, query: Mapping[str, object]) -> dict[str, str]:
    """What of an address is kept: known fields that say something."""
    unknown = sorted(set(query) - set(FIELDS[SavedView.Page(page)]))
    if unknown:
        names = ", ".join(unknown)[:LONGEST]
        raise invalid("/query", _("Not part of this page: %(names)s.") % {"names": names})
    kept: dict[str, Any] = {}
    for field, value in query.items():
        if not isinstance(value, str) or len(value) > LONGEST or "\x00" in value:
            told = _("A text of at most %(most)d characters.") % {"most": LONGEST}
            raise invalid(f"/query/{field}", told)
        if value:
            kept[field] = value
    return kept
