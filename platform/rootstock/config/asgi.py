"""HTTP and WebSocket entry point of the web process."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rootstock.config.settings.embedded")
http = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import re_path  # noqa: E402

from apps.customer_service.routing import desk_urlpatterns, visitor_urlpatterns  # noqa: E402
from rootstock.realtime.routing import websocket_urlpatterns  # noqa: E402

# Cookies and our own origin for people; visitors come from customers' sites, and their socket checks both itself.
people = AllowedHostsOriginValidator(
    AuthMiddlewareStack(URLRouter([*websocket_urlpatterns, *desk_urlpatterns]))
)
application = ProtocolTypeRouter(
    {"http": http, "websocket": URLRouter([*visitor_urlpatterns, re_path(r"", people)])}
)
