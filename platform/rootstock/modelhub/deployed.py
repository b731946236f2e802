"""Who is told that another version answers for a deployment: applications whose own rows depend on it."""

from __future__ import annotations

from collections.abc import Callable

from rootstock.modelhub.models import Deployment

_listeners: list[Callable[[Deployment], None]] = []


def on_deployed(listener: Callable[[Deployment], None]) -> None:
    """Call `listener` after a promotion or roll-back, in its scope and transaction; so let it be quick."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell_deployed(deployment: Deployment) -> None:
    """Tell everybody that the deployment's version has changed."""
    for listener in _listeners:
        listener(deployment)
