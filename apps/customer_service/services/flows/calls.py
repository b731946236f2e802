"""Calling a business action: signed, checked both ways, once in effect.

A call is a POST of JSON, signed as Standard Webhooks are, to an address that `common.http` lets out to.
`ActionCall.key` is its `webhook-id` and `Idempotency-Key`: a worker that is killed and tries again sends the same bytes
under the same key, and the company's system does it once. What is not known is not guessed: a change that was sent
and not answered is `unknown`.

Within the seconds that a visitor is kept waiting it is tried up to three times, but only where the try before has
certainly changed nothing: there was no connection, or the action only looks and its system failed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from apps.customer_service.models import ActionCall, BusinessAction
from apps.customer_service.services.flows.engine import Returned
from apps.customer_service.services.flows.fields import values_check
from rootstock.common.http import (
    AddressRefused,
    Answer,
    AnswerTooLarge,
    HttpError,
    NotSent,
    fetch,
)
from rootstock.tenancy.scope import organisation_scope
from rootstock.webhooks.signing import signed_headers

__all__ = ["action_call", "action_test", "returned_of"]

MAX_ANSWER = 64_000
MOST_TRIES = 3
PAUSE_SECONDS = 0.5
State = ActionCall.State


@dataclass(frozen=True)
class _Letter:
    """All that one try needs, read in one short transaction."""

    call_id: uuid.UUID
    key: str
    url: str
    secrets: list[str]
    timeout: int
    changes_something: bool
    results: Mapping[str, Mapping[str, Any]]
    body: bytes


@dataclass(frozen=True)
class _Outcome:
    """What came of a try. `again`: it has changed nothing, and a moment later it may work."""

    state: str
    received: dict[str, Any]
    problem: str
    http_status: int | None = None
    again: bool = False


def action_call(
    organisation_id: uuid.UUID,
    *,
    action: str,
    key: str,
    arguments: Mapping[str, Any],
    run_id: uuid.UUID | None = None,
    context: Mapping[str, Any] | None = None,
) -> ActionCall:
    """Call an action, or take what came of the same call before. Outside any scope: it waits for an answer.

    Args:
        key: names the call; a second one with the same key is the same call.
        arguments: values of its parameters.
        context: sent beside the parameters: {"conversation": id, "visitor": {"id", "verified"}, "test": bool}.

    Raises:
        BusinessAction.DoesNotExist: the action was removed.
    """
    with organisation_scope(organisation_id):
        call, letter = _prepared(action, key, arguments, run_id, context or {})
    if letter is None:
        return call
    began = time.monotonic()
    outcome, tries = _tried(letter)
    milliseconds = round((time.monotonic() - began) * 1000)
    with organisation_scope(organisation_id):
        # Another worker with the same call may have been faster; what it has noted stands.
        ActionCall.objects.filter(pk=call.pk, state=State.CALLING).update(
            state=outcome.state,
            received=outcome.received,
            problem=outcome.problem[:500],
            http_status=outcome.http_status,
            milliseconds=milliseconds,
            tries=tries,
            updated_at=timezone.now(),
        )
        return ActionCall.objects.select_related("action").get(pk=call.pk)


def action_test(
    organisation_id: uuid.UUID, *, action: str, arguments: Mapping[str, Any], language: str = "en"
) -> ActionCall:
    """A call that belongs to no conversation and says so. Outside any scope."""
    context = {"language": language, "test": True}
    key = f"test-{uuid.uuid4().hex}"
    return action_call(
        organisation_id, action=action, key=key, arguments=arguments, context=context
    )


def returned_of(call: ActionCall) -> Returned:
    """What a flow makes of a call that has ended."""
    outcome = {
        State.DONE: "done",
        State.REFUSED: "refused",
        State.FAILED: "failed",
        State.UNKNOWN: "unknown",
    }[State(call.state)]
    if outcome == "failed" and call.received.get("timeout"):
        outcome = "timeout"
    results = call.received.get("results", {}) if outcome == "done" else {}
    return Returned(outcome, results, call.problem)


def _prepared(
    name: str,
    key: str,
    arguments: Mapping[str, Any],
    run_id: uuid.UUID | None,
    context: Mapping[str, Any],
) -> tuple[ActionCall, _Letter | None]:
    known = ActionCall.objects.select_related("action").filter(key=key).first()
    if known is not None and known.state != State.CALLING:
        return known, None
    if known is not None:
        return known, _letter(known)
    action = BusinessAction.objects.get(name=name)
    parameters, wrong = values_check(action.parameters, arguments, exact=True)
    if not action.url:
        wrong = ["This action has no address yet."]
    call = ActionCall.objects.create(
        action=action,
        run_id=run_id,
        key=key,
        state=State.FAILED if wrong else State.CALLING,
        sent={"action": action.name, "parameters": parameters, **context},
        problem="; ".join(wrong)[:500],
    )
    return call, None if wrong else _letter(call)


def _letter(call: ActionCall) -> _Letter:
    action = call.action
    now = timezone.now()
    secrets = [action.secret]
    if action.old_secret and action.old_secret_until and now < action.old_secret_until:
        secrets.append(action.old_secret)
    # Sorted: the database does not keep the order of keys, and a second try must be the same bytes.
    body = json.dumps(call.sent, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return _Letter(
        call.pk,
        call.key,
        action.url,
        secrets,
        action.timeout_seconds,
        action.changes_something,
        action.results,
        body.encode(),
    )


def _tried(letter: _Letter) -> tuple[_Outcome, int]:
    """What came of the last try, and how many there were; all of them in the action's seconds."""
    deadline = time.monotonic() + letter.timeout
    tries = 1
    outcome = _sent(letter, letter.timeout)
    while outcome.again and tries < MOST_TRIES:
        left = deadline - time.monotonic() - PAUSE_SECONDS
        if left <= 0:
            break
        time.sleep(PAUSE_SECONDS)
        tries += 1
        outcome = _sent(letter, left)
    return outcome, tries


def _sent(letter: _Letter, seconds: float) -> _Outcome:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Idempotency-Key": letter.key,
        **signed_headers(letter.secrets, letter.key, int(time.time()), letter.body),
    }
    try:
        answer = fetch(
            "POST",
            letter.url,
            headers=headers,
            body=letter.body,
            timeout=seconds,
            max_bytes=MAX_ANSWER,
        )
    except NotSent as error:
        return _Outcome(State.FAILED, {}, str(error), again=True)
    except AddressRefused as error:
        return _Outcome(State.FAILED, {}, str(error))
    except AnswerTooLarge as error:
        return _unclear(letter, str(error))
    except HttpError as error:
        return _unclear(letter, str(error), timeout=True)
    return _judged(letter, answer)


def _unclear(
    letter: _Letter, problem: str, *, status: int | None = None, timeout: bool = False
) -> _Outcome:
    """Of a change nobody knows whether it was made; a question may be asked again."""
    if letter.changes_something:
        return _Outcome(State.UNKNOWN, {}, problem, status)
    received = {"timeout": True} if timeout else {}
    return _Outcome(State.FAILED, received, problem, status, again=status is None or status >= 500)


def _judged(letter: _Letter, answer: Answer) -> _Outcome:
    """2xx with results is done, 4xx refused; 408, 409, 425, 429 and 5xx say nothing sure about a change."""
    status = answer.status
    try:
        content = json.loads(answer.body) if answer.body.strip() else {}
    except (ValueError, RecursionError):
        content = None
    if 200 <= status < 300:
        results, wrong = values_check(letter.results, content)
        if wrong:
            return _unclear(letter, "; ".join(wrong), status=status)
        return _Outcome(State.DONE, {"results": results}, "", status)
    problem = _problem(content) or f"HTTP {status}"
    if 400 <= status < 500 and status not in {408, 409, 425, 429}:
        return _Outcome(State.REFUSED, {}, problem, status)
    if 300 <= status < 400 or status == 429:
        # Redirects are not followed.
        return _Outcome(State.FAILED, {}, problem, status)
    return _unclear(letter, problem, status=status, timeout=status in {408, 504})


def _problem(content: Any) -> str:
    """What an error says of itself, in any of the usual places."""
    said = content if isinstance(content, dict) else {}
    words = said.get("detail") or said.get("message") or said.get("problem") or said.get("title")
    return str(words).replace("\x00", "") if words else ""
