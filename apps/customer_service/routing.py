"""WebSocket addresses: of signed-in people, and of visitors, whose Origin is that of a customer's site."""

from __future__ import annotations

from django.urls import path

from apps.customer_service.consumers.desk import DeskConsumer
from apps.customer_service.consumers.visitor import VisitorConsumer

desk_urlpatterns = [path("ws/service/desk/", DeskConsumer.as_asgi())]
visitor_urlpatterns = [path("ws/service/", VisitorConsumer.as_asgi())]
