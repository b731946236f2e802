"""Behind a TLS proxy, with every secret from the environment."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

from rootstock.config.settings.base import *  # noqa: F403

for name in ("ROOTSTOCK_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "ROOTSTOCK_ALLOWED_HOSTS"):
    if not os.environ.get(name):
        raise ImproperlyConfigured(f"{name} must be set in production; see docs/operations.md")

SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 365 * 24 * 3600
WHITENOISE_USE_FINDERS = False
STORAGES = {
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
EMAIL_BACKEND = os.environ.get(
    "ROOTSTOCK_EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend"
)
