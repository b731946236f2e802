"""Alive, ready, metrics."""

from __future__ import annotations

import socket

import pytest
from django.test import Client

from rootstock.common import operations

pytestmark = pytest.mark.django_db


@pytest.fixture
def inference(tmp_path, settings):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "i.sock"))
        server.listen()
        settings.INFERENCE_ADDRESS = f"unix://{tmp_path}/i.sock"
        yield


def test_alive(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.post("/healthz").status_code == 405


def test_ready(client, inference):
    response = client.get("/readyz")
    assert response.json() == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "redis": "ok", "inference": "ok"},
    }


def test_not_ready_says_which_part(client, settings, tmp_path, monkeypatch):
    settings.INFERENCE_ADDRESS = f"unix://{tmp_path}/nobody.sock"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["inference"] == "does not answer"
    assert str(tmp_path) not in response.content.decode()
    operations._migrated.cache_clear()
    loader = operations.MigrationLoader

    class Newer(loader):
        def build_graph(self):
            super().build_graph()
            self.disk_migrations = {**self.disk_migrations, ("x", "0001"): loader}

    loader.replaces = []
    monkeypatch.setattr(operations, "MigrationLoader", Newer)
    assert client.get("/readyz").json()["checks"]["migrations"] == "1 migration(s) not applied"


def test_metrics_are_for_this_machine_or_the_token(settings):
    assert Client().get("/metrics").status_code == 200
    assert Client(REMOTE_ADDR="203.0.113.1").get("/metrics").status_code == 403
    assert Client(HTTP_X_FORWARDED_FOR="203.0.113.1").get("/metrics").status_code == 403
    settings.ROOTSTOCK_METRICS_TOKEN = "secret-token"
    assert Client().get("/metrics").status_code == 403
    far = Client(REMOTE_ADDR="203.0.113.1", HTTP_AUTHORIZATION="Bearer secret-token")
    response = far.get("/metrics")
    assert response.status_code == 200
    assert "python_info" in response.content.decode()
