"""Answers that wait for a model: the view decides what is asked inside its transaction, the model is asked after it.

A reply may take minutes; a database connection must not wait with it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from rootstock.common.problems import Problem, problem_response


class LateAnswer(HttpResponse):
    """Stands for the answer that ``finish`` gives, or the Problem that it raises."""

    def __init__(self, finish: Callable[[], HttpResponseBase]) -> None:
        super().__init__()
        self.finish = finish


class LateAnswerMiddleware:
    """Asks for late answers; stands outside the middleware that holds the transaction."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer itself."""
        response = self.get_response(request)
        if not isinstance(response, LateAnswer):
            return response
        if not connection.in_atomic_block:  # as it is in a test's own transaction
            # Back to the pool: Django itself would keep it until the last byte of a stream is sent.
            connection.close()
        try:
            return response.finish()
        except Http404:
            return problem_response(404, "not-found", "There is no such thing any more.")
        except Problem as problem:
            return problem_response(
                problem.status_code,
                problem.code,
                str(problem.detail),
                errors=problem.errors,
                headers=problem.headers,
            )
