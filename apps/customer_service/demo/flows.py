"""Order status and refund request, live, with the demonstration's shop behind them.

One call makes them, and makes them again when the shop has found another port:

    with organisation_scope(organisation_id):
        flows_setup(write, company="http://127.0.0.1:8200")

The shop is then started with `--secrets` and `secrets_path()`, and calls must be let out to this machine
(`ROOTSTOCK_HTTP_ALLOW_PRIVATE=127.0.0.1/32`); `script/demo` does both.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from apps.customer_service.demo.company import ORDER_STATUS, REFUND_REQUEST
from apps.customer_service.models import BusinessAction, Flow
from apps.customer_service.services.flows.actions import action_update
from apps.customer_service.services.flows.library import (
    flow_from_template,
    flow_make_live,
    template_get,
)
from rootstock.common.actors import SYSTEM

__all__ = ["flows_setup", "secrets_path"]

_PATHS = {"order_status": ORDER_STATUS, "refund_request": REFUND_REQUEST}


def flows_setup(
    write: Callable[[str], object], *, company: str, secrets: Path | None = None
) -> None:
    """Make what is missing, inside an organisation's scope; safe to run again.

    Args:
        write: is told what was made, a line at a time.
        company: origin of the shop, such as http://127.0.0.1:8200.
        secrets: the file in which the secrets of the actions are left for it; default: `secrets_path()`.
    """
    wanted = () if Flow.objects.exists() else ("order-status", "refund-request")
    made = [flow_from_template(template=template_get(key), actor=SYSTEM) for key in wanted]
    actions = BusinessAction.objects.filter(name__in=_PATHS)
    for action in actions:
        action_update(action=action, actor=SYSTEM, values={"url": company + _PATHS[action.name]})
    for flow in made:
        flow_make_live(flow=flow, version=flow.versions.latest("number"), actor=SYSTEM)
        write(f"flow “{flow.name}” made live")
    path = secrets or secrets_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps([action.secret for action in actions]))


def secrets_path() -> Path:
    """Where the shop reads the secrets of its actions from."""
    return Path(settings.VAR) / "demo-secrets.json"
