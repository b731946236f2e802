"""Tests run on real servers of their own; only secrets and speed differ from production."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault(
    "ROOTSTOCK_SECRET_KEY", "test-only-not-a-secret-0123456789abcdef0123456789abcdef"
)
os.environ.setdefault("ROOTSTOCK_INFERENCE_TOKEN", "test-inference-token")

# pytest sets this before it loads the settings; tests/conftest.py stops what is started here. The
# processes that a test starts inherit the addresses, and use the same servers.
if "PYTEST_VERSION" in os.environ and "ROOTSTOCK_TEST_SERVICES" not in os.environ:
    from rootstock.config.embedded import start_services

    services = start_services(Path(tempfile.mkdtemp(prefix="rs-test-")), {}, durable=False)
    os.environ.update(services.variables)
    os.environ["ROOTSTOCK_TEST_SERVICES"] = services.variables["ROOTSTOCK_VAR"]

# mypy, the schema and makemigrations read the settings and need no server.
os.environ.setdefault("DATABASE_URL", "postgresql://rootstock_app@localhost/unset")
os.environ.setdefault("REDIS_URL", "redis://localhost/0")

from rootstock.config.settings.base import *  # noqa: F403

if DATABASES["default"]["NAME"] == "unset":  # noqa: F405
    # A pool would wait half a minute for a server that is not there.
    del DATABASES["default"]["OPTIONS"]["pool"]  # noqa: F405

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ROOTSTOCK_RATE_LIMIT = 1_000_000
