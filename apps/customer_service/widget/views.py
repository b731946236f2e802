"""What a page of somebody else loads: the script, and the frame that it shows."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from apps.customer_service.models import Channel
from apps.customer_service.selectors.channels import ChannelDoor, channel_find
from rootstock.tenancy.scope import organisation_scope

LOADER = "dist/widget/loader.js"
# A change of colour or place reaches every page within this time.
LOADER_SECONDS = 300
# One that says that something is wrong, so that putting it right is seen soon.
REFUSAL_SECONDS = 30


@require_safe
@gzip_page
def loader(request: HttpRequest, key: str) -> HttpResponseBase:
    """The script of a channel. Without one that may be shown: a script that says why on the console.

    It answers 200 in any case: browsers do not run, and so not show, what comes with an error.
    """
    door = channel_find(key)
    refusal = _refusal(door)
    if door is None or refusal:
        text = f"console.error({json.dumps('Rootstock: ' + refusal)});\n"
        return _script(request, text, REFUSAL_SECONDS)
    about = json.dumps(
        {"key": key, "origins": door.origins, **_look(_channel(door))}, separators=(",", ":")
    )
    return _script(request, f"(CHANNEL=>{{\n{_built()}}})({about});\n", LOADER_SECONDS)


@require_safe
@xframe_options_exempt
def frame(request: HttpRequest, key: str) -> HttpResponseBase:
    """The page inside the frame. Which sites may show it is said by `frame-ancestors`."""
    door = channel_find(key)
    refusal = _refusal(door)
    if door is None or refusal:
        response = HttpResponse(refusal, status=404, content_type="text/plain; charset=utf-8")
        response["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        return response
    # Our own pages show it as a preview.
    ours = f"{request.scheme}://{request.get_host()}"
    channel = _channel(door)
    about = {
        "key": key,
        "origins": [*door.origins, ours],
        **_look(channel),
        "greeting": channel.appearance.get("greeting", {}),
        "suggestions": channel.appearance.get("suggestions", []),
    }
    response = render(request, "customer_service/widget_frame.html", {"about": about})
    response["Cache-Control"] = "no-cache"
    response["ETag"] = _etag(response.content)
    answer = get_conditional_response(request, etag=response["ETag"], response=response) or response
    # "Not modified" as well: browsers put its headers in place of those that they have kept.
    answer["Content-Security-Policy"] = _policy(request, door)
    return answer


def _refusal(door: ChannelDoor | None) -> str:
    """Why nothing is shown; empty when all is well."""
    if door is None:
        return "there is no widget with the key in this script's address. Copy the tag again."
    if not door.enabled:
        return "this widget is switched off."
    if not door.origins:
        return "no site may show this widget yet. Add the address of this site to its channel."
    return ""


def _channel(door: ChannelDoor) -> Channel:
    with organisation_scope(door.organisation_id):
        return Channel.objects.get(pk=door.id)


def _look(channel: Channel) -> dict[str, Any]:
    """How it looks, closed and open."""
    appearance = channel.appearance
    return {
        "colour": appearance.get("colour", "#4450c4"),
        "scheme": appearance.get("scheme", "auto"),
        "position": appearance.get("position", "right"),
        "title": appearance.get("title", {}),
    }


def _script(request: HttpRequest, text: str, seconds: int) -> HttpResponseBase:
    response = HttpResponse(text, content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = f"public, max-age={seconds}"
    response["ETag"] = _etag(response.content)
    # Pages that are isolated (COEP) load only what says that they may.
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


def _etag(content: bytes) -> str:
    return f'"{hashlib.blake2s(content, digest_size=12).hexdigest()}"'


def _policy(request: HttpRequest, door: ChannelDoor) -> str:
    # Browsers before 2022 do not take 'self' for a socket.
    socket = f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            f"connect-src 'self' {socket}",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors 'self' {' '.join(door.origins)}",
        ]
    )


def _built() -> str:
    found = finders.find(LOADER)
    path = Path(str(found)) if found else Path(settings.STATIC_ROOT) / LOADER
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, changed: int) -> str:
    return path.read_text(encoding="utf-8")
