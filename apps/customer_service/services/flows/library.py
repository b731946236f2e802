"""Flows and their versions: saving, making live, going back."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext as _

from apps.customer_service.models import BusinessAction, Flow, FlowVersion
from apps.customer_service.services.flows.actions import action_create
from apps.customer_service.services.flows.checking import ActionShape, Fault, faults
from apps.customer_service.services.flows.definition import Call, definition_parse
from apps.customer_service.services.flows.templates import TEMPLATES, Template
from apps.customer_service.services.refusals import taken
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid

__all__ = [
    "definition_check",
    "definition_faults",
    "flow_create",
    "flow_delete",
    "flow_from_template",
    "flow_make_live",
    "flow_update",
    "template_get",
    "version_save",
    "versions_diff",
]

MOST_FLOWS = 200
MOST_WORDS = 50


def definition_faults(definition: Any) -> list[Fault]:
    """What is wrong with a definition, with the organisation's actions as they are now."""
    actions = {
        action.name: ActionShape(action.changes_something, action.parameters, action.results)
        for action in BusinessAction.objects.all()
    }
    return faults(definition, actions)


def definition_check(definition: Any) -> dict[str, Any]:
    """The definition, if it is whole.

    Raises:
        Problem: 422, each fault with its place below /definition.
    """
    found = definition_faults(definition)
    if not found:
        return dict(definition)
    raise Problem(
        422,
        "invalid",
        _("The flow has %(count)s fault(s).") % {"count": len(found)},
        errors=[
            {"pointer": f"/definition{fault.pointer}", "detail": fault.detail} for fault in found
        ],
    )


def flow_create(
    *,
    name: str,
    definition: Any,
    actor: Actor,
    intents: Sequence[str] = (),
    phrases: Sequence[str] = (),
    threshold: float = 0.6,
) -> Flow:
    """A flow with its first version, not live yet.

    Raises:
        Problem: 422 with the places of what is wrong; 409, the name is taken.
    """
    if Flow.objects.filter(name=name).exists():
        raise taken("/name", _("There is a flow of this name."))
    if Flow.objects.count() >= MOST_FLOWS:
        raise invalid("/name", _("There are at most %(most)s flows.") % {"most": MOST_FLOWS})
    flow = Flow(
        name=name,
        intents=_words(intents, "/intents"),
        phrases=_words(phrases, "/phrases"),
        threshold=threshold,
    )
    flow.save(force_insert=True)
    _record(actor, "created", flow, {})
    version_save(flow=flow, definition=definition, actor=actor)
    return flow


def flow_update(*, flow: Flow, actor: Actor, values: Mapping[str, Any]) -> Flow:
    """Change what begins a flow, its name, or whether it is on.

    Raises:
        Problem: 422; 409, the name is taken, or it is switched on without a live version.
    """
    changes: dict[str, Any] = {}
    for name in ("name", "intents", "phrases", "threshold", "enabled"):
        if name not in values:
            continue
        value = values[name]
        if name in {"intents", "phrases"}:
            value = _words(value, f"/{name}")
        if value != getattr(flow, name):
            changes[name] = [getattr(flow, name), value]
            setattr(flow, name, value)
    if "name" in changes and Flow.objects.filter(name=flow.name).exclude(pk=flow.pk).exists():
        raise taken("/name", _("There is a flow of this name."))
    if flow.enabled and flow.live_id is None:
        raise Problem(409, "not-live", _("Make a version live first."))
    flow.save()
    if changes:
        _record(actor, "changed", flow, changes)
    return flow


def flow_delete(*, flow: Flow, actor: Actor) -> None:
    """Remove a flow with its versions and the record of who went through it."""
    _record(actor, "deleted", flow, {})
    flow.delete()


def version_save(*, flow: Flow, definition: Any, actor: Actor) -> FlowVersion:
    """A new version; one that says the same as the newest is that one.

    Raises:
        Problem: 422, each fault with its place below /definition.
    """
    definition_check(definition)
    Flow.objects.select_for_update(of=("self",)).get(pk=flow.pk)
    newest = flow.versions.order_by("-number").first()
    if newest is not None and newest.definition == definition:
        return newest
    number = (flow.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    version = FlowVersion(
        flow=flow, number=number, definition=definition, actor_label=actor.label[:200]
    )
    version.save(force_insert=True)
    _record(actor, "version.saved", flow, {"number": number})
    return version


def flow_make_live(*, flow: Flow, version: FlowVersion, actor: Actor) -> Flow:
    """Give a version to visitors, an earlier one as well; runs that have begun go on with theirs.

    Raises:
        Problem: 422, it does not fit the actions as they are now; 409, an action that it calls has no address.
    """
    definition_check(version.definition)
    calls = {
        step.action
        for step in definition_parse(version.definition).steps.values()
        if isinstance(step, Call)
    }
    bare = BusinessAction.objects.filter(name__in=calls, url="").values_list("name", flat=True)
    if bare:
        raise Problem(
            409,
            "no-address",
            _("Enter the address of %(actions)s first: nothing could be called.")
            % {"actions": ", ".join(sorted(bare))},
        )
    before = flow.live.number if flow.live else None
    flow.live = version
    flow.enabled = True
    flow.save()
    _record(actor, "made_live", flow, {"version": [before, version.number]})
    return flow


def flow_from_template(*, template: Template, actor: Actor) -> Flow:
    """A flow as shipped, with those of its actions that are not there yet; their addresses are still to be entered."""
    known = set(BusinessAction.objects.values_list("name", flat=True))
    for action in template.actions:
        if action["name"] not in known:
            action_create(actor=actor, **action)
    name, number = str(template.name), 2
    while Flow.objects.filter(name=name).exists():
        name, number = f"{template.name} {number}", number + 1
    return flow_create(
        name=name,
        definition=template.definition,
        actor=actor,
        intents=template.intents,
        phrases=template.phrases,
    )


def template_get(key: str) -> Template:
    """A shipped flow.

    Raises:
        Problem: 422, there is none of this key.
    """
    if key not in TEMPLATES:
        raise invalid("/template", _("One of: %(all)s.") % {"all": ", ".join(TEMPLATES)})
    return TEMPLATES[key]


def versions_diff(before: FlowVersion, after: FlowVersion) -> list[tuple[str, str]]:
    """The lines of two definitions: (" " same, "-" gone, "+" new, "@" place, the line)."""

    def lines(version: FlowVersion) -> list[str]:
        return json.dumps(version.definition, ensure_ascii=False, indent=2).splitlines()

    unified = list(difflib.unified_diff(lines(before), lines(after), n=3, lineterm=""))[2:]
    return [(line[:1], line[1:] if line[:1] != "@" else line) for line in unified]


def _words(raw: Sequence[str], at: str) -> list[str]:
    words = list(dict.fromkeys(str(word).strip() for word in raw if str(word).strip()))
    if len(words) > MOST_WORDS or any(len(word) > 120 for word in words):
        raise invalid(at, _("At most 50, of at most 120 characters each."))
    return words


def _record(actor: Actor, verb: str, flow: Flow, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"service.flow.{verb}",
        target=f"flow {flow.name}",
        target_id=str(flow.pk),
        changes=changes,
    )
