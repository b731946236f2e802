"""schemathesis over the whole REST schema: nothing breaks, every answer is as documented, every error is a problem."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.contract.samples import ids_by_parameter, make_rows

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

# A run in CI stays within a few minutes; ROOTSTOCK_FUZZ_EXAMPLES=500 looks deeper.
EXAMPLES = int(os.environ.get("ROOTSTOCK_FUZZ_EXAMPLES", "8"))
load_all_checks()


def error_is_a_problem(_context: Any, response: Any, case: Any) -> None:
    """Every error, whoever answers it, has the one shape."""
    if response.status_code < 400:
        return
    kind = response.headers.get("content-type", [""])[0]
    assert kind.startswith("application/problem+json"), f"{response.status_code} as {kind}"
    body = response.json()
    assert body["status"] == response.status_code
    assert {"type", "title", "status", "detail"} <= set(body)


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
    error_is_a_problem,
]


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Requests stay on the connection, and in the transaction, of the test, as with Django's own test client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def world(one_connection: None, organisation: Any, make_key: Any, settings: Any) -> dict[str, str]:
    """An organisation that has rows: their ids by path parameter, and under "key" a key that may do everything."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    return {**ids_by_parameter(make_rows(organisation, "sample")), "key": make_key(organisation)}


schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
schema.app = WSGIHandler()
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_the_schema_holds(case: Any, world: dict[str, str]) -> None:
    """Each operation, with rows that are there and rows that are not."""
    for name in case.path_parameters or {}:
        # Every other example meets a row that exists.
        if name in world and len(str(case.query or "")) % 2 == 0:
            case.path_parameters[name] = world[name]
    case.call_and_validate(
        checks=CHECKS, headers={"Authorization": f"Bearer {world['key']}", "Host": "testserver"}
    )
