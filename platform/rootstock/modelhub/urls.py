"""Pages of this app."""

from __future__ import annotations

from typing import Any

app_name = "modelhub"
urlpatterns: list[Any] = []
