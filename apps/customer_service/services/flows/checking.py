"""Is a definition whole? Every fault with its place as a JSON pointer.

First the form (`shape`), then the graph: every step can be reached, from every step an end can, no way leads in
a circle without asking, and no text names a value that may not be known there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.customer_service.services.flows.definition import (
    OUTSIDE_PATHS,
    Ask,
    Branch,
    Call,
    Definition,
    Done,
    HandOff,
    Say,
    Step,
    definition_parse,
    paths_in,
    targets,
)
from apps.customer_service.services.flows.shape import Fault, shape_faults

__all__ = ["ActionShape", "Fault", "faults"]

# What a failed or refused call leaves under its name.
PROBLEM = "problem"


@dataclass(frozen=True)
class ActionShape:
    """What the checker must know of a business action."""

    changes_something: bool
    parameters: Mapping[str, Mapping[str, Any]]
    results: Mapping[str, Mapping[str, Any]]


def faults(raw: Any, actions: Mapping[str, ActionShape]) -> list[Fault]:
    """What is wrong with a definition; nothing means that it can be run.

    Args:
        actions: the organisation's business actions by name.
    """
    found = shape_faults(raw)
    if found:
        return found
    definition = definition_parse(raw)
    where = {step["id"]: f"/steps/{index}" for index, step in enumerate(raw["steps"])}
    found = list(_targets_exist(definition, where))
    found += _calls(definition, actions, where)
    if found:
        return found
    found = [*_reachable(definition, where), *_ending(definition, where)]
    found += _circles(definition, where)
    return found or list(_known(definition, actions, where))


def _targets_exist(definition: Definition, where: Mapping[str, str]) -> Iterator[Fault]:
    if definition.start not in definition.steps:
        yield Fault("/start", _("There is no step “%(id)s”.") % {"id": definition.start})
    for step in definition.steps.values():
        for field, target in targets(step):
            if target not in definition.steps:
                yield Fault(
                    f"{where[step.id]}/{field}", _("There is no step “%(id)s”.") % {"id": target}
                )


def _calls(
    definition: Definition, actions: Mapping[str, ActionShape], where: Mapping[str, str]
) -> Iterator[Fault]:
    slots = {step.slot for step in definition.asks()}
    for step in definition.steps.values():
        if not isinstance(step, Call):
            continue
        here = where[step.id]
        if step.into in slots or step.into == "visitor":
            yield Fault(
                f"{here}/into", _("“%(name)s” is the name of a slot.") % {"name": step.into}
            )
        action = actions.get(step.action)
        if action is None:
            yield Fault(
                f"{here}/action",
                _("There is no business action “%(name)s”.") % {"name": step.action},
            )
            continue
        if action.changes_something and step.confirm is None:
            yield Fault(
                f"{here}/confirm",
                _("“%(name)s” changes something: say what, and ask before it is done.")
                % {"name": step.action},
            )
        for name in step.arguments:
            if name not in action.parameters:
                yield Fault(
                    f"{here}/arguments/{name}",
                    _("“%(action)s” takes no “%(name)s”.") % {"action": step.action, "name": name},
                )
        for name, parameter in action.parameters.items():
            if parameter.get("required", True) and name not in step.arguments:
                yield Fault(
                    f"{here}/arguments", _("“%(name)s” is needed and not given.") % {"name": name}
                )


def _reachable(definition: Definition, where: Mapping[str, str]) -> Iterator[Fault]:
    seen, waiting = {definition.start}, [definition.start]
    while waiting:
        for _field, target in targets(definition.steps[waiting.pop()]):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    for name in definition.steps:
        if name not in seen:
            yield Fault(where[name], _("No step leads here."))


def _ending(definition: Definition, where: Mapping[str, str]) -> Iterator[Fault]:
    ends = {name for name, step in definition.steps.items() if isinstance(step, Done | HandOff)}
    grown = True
    while grown:
        more = {
            name
            for name, step in definition.steps.items()
            if name not in ends and any(target in ends for _field, target in targets(step))
        }
        ends |= more
        grown = bool(more)
    for name in definition.steps:
        if name not in ends:
            yield Fault(where[name], _("From here no end can be reached."))


def _waits(step: Step) -> bool:
    """Whether a visitor says something before it goes on."""
    return isinstance(step, Ask) or (isinstance(step, Call) and step.confirm is not None)


def _circles(definition: Definition, where: Mapping[str, str]) -> Iterator[Fault]:
    """Steps on a circle on which nobody is asked: found by taking away what leads nowhere else."""
    left = {
        name: {target for _field, target in targets(step) if not _waits(definition.steps[target])}
        for name, step in definition.steps.items()
        if not _waits(step)
    }
    while True:
        free = {name for name, following in left.items() if not following & left.keys()}
        if not free:
            break
        for name in free:
            del left[name]
    for name, following in left.items():
        if any(target in left for target in following):
            yield Fault(where[name], _("From here it can go in a circle without asking anything."))


# --- what is known where --------------------------------------------------------------------------


def _known(
    definition: Definition, actions: Mapping[str, ActionShape], where: Mapping[str, str]
) -> Iterator[Fault]:
    everything = _all_paths(definition, actions)
    # The greatest solution of: known at a step = what every way to it brings.
    known: dict[str, frozenset[str]] = dict.fromkeys(definition.steps, everything)
    known[definition.start] = OUTSIDE_PATHS
    changed = True
    while changed:
        changed = False
        for step in definition.steps.values():
            for field, target in targets(step):
                brought = known[step.id] | _brings(step, field, definition, actions)
                fewer = known[target] & brought
                if fewer != known[target]:
                    known[target], changed = fewer, True
    for step in definition.steps.values():
        for pointer, path, needed in _uses(step, actions):
            place = where[step.id] + pointer
            if path not in everything:
                yield Fault(place, _("Nothing here is called “%(path)s”.") % {"path": path})
            elif needed and path not in known[step.id]:
                yield Fault(
                    place, _("“%(path)s” is not known yet on every way to here.") % {"path": path}
                )


def _all_paths(definition: Definition, actions: Mapping[str, ActionShape]) -> frozenset[str]:
    paths = set(OUTSIDE_PATHS)
    for step in definition.steps.values():
        if isinstance(step, Ask):
            paths |= _slot_paths(step)
        elif isinstance(step, Call):
            paths |= {f"{step.into}.{name}" for name in (*actions[step.action].results, PROBLEM)}
    return frozenset(paths)


def _slot_paths(step: Ask) -> set[str]:
    return {step.slot} | ({f"{step.slot}.currency"} if step.type == "amount" else set())


def _brings(
    step: Step, field: str, definition: Definition, actions: Mapping[str, ActionShape]
) -> frozenset[str]:
    if isinstance(step, Ask) and field != "on_miss":
        return frozenset(_slot_paths(step))
    if isinstance(step, Call):
        if field == "next":
            return frozenset(f"{step.into}.{name}" for name in actions[step.action].results)
        if field in {"on_failure", "on_timeout"}:
            return frozenset({f"{step.into}.{PROBLEM}"})
    return frozenset()


def _uses(step: Step, actions: Mapping[str, ActionShape]) -> Iterator[tuple[str, str, bool]]:
    """(pointer, path, whether it must be known) of everything that a step names."""
    texts: Sequence[tuple[str, Mapping[str, str] | None]] = ()
    match step:
        case Say() | Done() | HandOff():
            texts = [("/text", step.text)]
        case Ask():
            texts = [("/text", step.text), ("/invalid", step.invalid)]
        case Call():
            texts = [("/confirm", step.confirm)]
            for name, value in step.arguments.items():
                if isinstance(value, str) and value.startswith("$") and not value.startswith("$$"):
                    required = actions[step.action].parameters[name].get("required", True)
                    yield f"/arguments/{name}", value[1:], bool(required)
        case Branch():
            for index, (conditions, _next) in enumerate(step.cases):
                for place, condition in enumerate(conditions):
                    yield f"/cases/{index}/when/{place}/value", condition.value, False
    for pointer, text in texts:
        for language, sentence in (text or {}).items():
            for path in paths_in(sentence):
                yield f"{pointer}/{language}", path, True
