"""Trying a connection: the server is asked for its models outside any transaction, what it said is noted."""

from __future__ import annotations

from collections.abc import Callable

from django.http.response import HttpResponseBase

from rootstock.common.problems import Problem
from rootstock.gateway.inference import offered_models, remote
from rootstock.gateway.late import LateAnswer
from rootstock.gateway.models import Connection
from rootstock.gateway.selectors import connection_get
from rootstock.gateway.services import connection_note_check
from rootstock.tenancy.scope import current_organisation_id, organisation_scope


def check_late(
    connection: Connection, answer: Callable[[Connection], HttpResponseBase]
) -> LateAnswer:
    """Ask the server of `connection` after this request's transaction, then `answer` with what is noted of it."""
    target, organisation_id = remote(connection), current_organisation_id()

    def finish() -> HttpResponseBase:
        offered: list[str] = []
        problem = ""
        try:
            offered = offered_models(target)
        except Problem as error:
            problem = str(error.detail)
        with organisation_scope(organisation_id):
            # Read again: it may have been changed or removed meanwhile.
            noted = connection_get(target.connection_id)
            return answer(connection_note_check(connection=noted, offered=offered, problem=problem))

    return LateAnswer(finish)
