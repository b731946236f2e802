"""Settings that hold everywhere; the other modules of this package say only what differs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dj_database_url
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _
from kombu.entity import Queue

ROOT = Path(__file__).resolve().parents[4]
VAR = Path(os.environ.get("ROOTSTOCK_VAR", ROOT / "var")).resolve()
ARTIFACTS = Path(os.environ.get("ROOTSTOCK_ARTIFACTS", VAR / "artifacts")).resolve()
# where artefacts are kept besides (fsspec: s3://bucket/prefix); empty: on this machine's disk only
ARTIFACT_STORE = os.environ.get("ROOTSTOCK_ARTIFACT_STORE", "")
DATA = Path(os.environ.get("ROOTSTOCK_DATA", ROOT.parent / "shared" / "data")).resolve()

SECRET_KEY = os.environ.get("ROOTSTOCK_SECRET_KEY", "")
# former keys: what was signed, encrypted or digested under them is still accepted
SECRET_KEY_FALLBACKS = [k for k in os.environ.get("ROOTSTOCK_OLD_SECRET_KEYS", "").split(",") if k]
# where people reach this installation: the start of every link in an e-mail
ROOTSTOCK_URL = os.environ.get(
    "ROOTSTOCK_URL", f"http://127.0.0.1:{os.environ.get('ROOTSTOCK_PORT', '8000')}"
)
DEBUG = False
ALLOWED_HOSTS = os.environ.get("ROOTSTOCK_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("ROOTSTOCK_ORIGINS", "").split(",") if o]

INSTALLED_APPS = [
    "rootstock.web",
    "rootstock.tenancy",
    "rootstock.accounts",
    "rootstock.audit",
    "rootstock.outbox",
    "rootstock.jobs",
    "rootstock.realtime",
    "rootstock.webhooks",
    "rootstock.modelhub",
    "rootstock.gateway",
    "rootstock.vectors",
    "apps.customer_service",
    "apps.finance_sentiment",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "axes",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
]

MIDDLEWARE = [
    "rootstock.common.middleware.RequestIdMiddleware",
    "rootstock.gateway.openai.errors.OpenAiErrorsMiddleware",
    "rootstock.common.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "rootstock.gateway.late.LateAnswerMiddleware",
    "rootstock.accounts.middleware.OrganisationMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "rootstock.config.urls"
ASGI_APPLICATION = "rootstock.config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "rootstock.web.context.shell",
            ],
        },
    },
]

# --- storage: truth is in PostgreSQL; Redis may be wiped at any moment ------------------------


def _database(url: str) -> dict[str, Any]:
    database: dict[str, Any] = dict(dj_database_url.parse(url))
    database["OPTIONS"] = {
        **database.get("OPTIONS", {}),
        # Under ASGI each request has its own thread; a pool is what keeps connections alive.
        "pool": {"min_size": 1, "max_size": int(os.environ.get("ROOTSTOCK_DB_POOL", "16"))},
    }
    return database


DATABASE_URL = os.environ.get("DATABASE_URL", "")
DATABASE_OWNER_URL = os.environ.get("DATABASE_OWNER_URL", DATABASE_URL)
DATABASES: dict[str, dict[str, Any]] = {}
if DATABASE_URL:
    DATABASES = {
        "default": _database(DATABASE_URL),
        "owner": {**dj_database_url.parse(DATABASE_OWNER_URL), "CONN_MAX_AGE": 0},
    }

REDIS_URL = os.environ.get("REDIS_URL", "")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # No time limit of redis-py's: the layer waits long for a message, and under a limit every command is sent
        # within asyncio.wait_for, which under Python 3.11 may swallow a cancellation, so that the reader of a
        # closed socket would wait for ever. Whether the server is still there, TCP finds out.
        "CONFIG": {
            "hosts": [
                {
                    "address": REDIS_URL,
                    "socket_timeout": None,
                    **({} if REDIS_URL.startswith("unix:") else {"socket_keepalive": True}),
                }
            ],
            "capacity": 1000,
            "expiry": 60,
        },
    },
}
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "rootstock",
    },
}

# --- workers ---------------------------------------------------------------------------------

CELERY_BROKER_URL = (
    "redis+socket://" + REDIS_URL.removeprefix("unix://")
    if REDIS_URL.startswith("unix://")
    else REDIS_URL
)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
# kombu ships no types
CELERY_TASK_QUEUES = [
    Queue(name)  # type: ignore[no-untyped-call]
    for name in ("default", "ingest", "polling", "training")
]
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "health_check_interval": 10}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    # The sweepers are what makes Redis replaceable: whatever a lost message was to do is done by the next sweep.
    "outbox-sweep": {"task": "rootstock.outbox.sweep", "schedule": 2.0, "options": {"expires": 10}},
    "jobs-sweep": {"task": "rootstock.jobs.sweep", "schedule": 15.0, "options": {"expires": 30}},
    "partitions": {"task": "rootstock.common.maintain_partitions", "schedule": crontab(minute=7)},
    "idempotency-expire": {"task": "rootstock.outbox.expire_keys", "schedule": crontab(minute=17)},
    "models-monitor": {
        "task": "rootstock.modelhub.monitor",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "service-clocks": {
        "task": "rootstock.service.clocks",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    "service-knowledge": {
        "task": "rootstock.service.knowledge_tick",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "service-versions": {
        "task": "rootstock.service.knowledge_tidy",
        "schedule": crontab(minute=43),
    },
    "finance-polls": {
        "task": "rootstock.finance.polls_start",
        "schedule": 2.0,
        "options": {"expires": 10, "queue": "polling"},
    },
    "finance-loop": {
        "task": "rootstock.finance.loop_clock",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "finance-tick": {"task": "rootstock.finance.tick", "schedule": 3.0, "options": {"expires": 6}},
}

# A worker that has said nothing for this long is taken for dead and its work is given to another.
ROOTSTOCK_LEASE_SECONDS = int(os.environ.get("ROOTSTOCK_LEASE_SECONDS", "30"))
# Days that rows of the partitioned tables are kept; whole partitions are dropped. At least 7.
ROOTSTOCK_RETENTION_DAYS = {
    "realtime_event": 14,
    "webhooks_delivery": 35,
    "webhooks_attempt": 35,
    "modelhub_prediction": 90,
}
# Days that the vectors of a collection's former model are kept, so that one can go back to it.
ROOTSTOCK_SPACE_KEEP_DAYS = int(os.environ.get("ROOTSTOCK_SPACE_KEEP_DAYS", "7"))
# Networks (CIDR, by comma) of the owner's own that webhooks and feeds may reach; none by default.
ROOTSTOCK_HTTP_ALLOW_PRIVATE = os.environ.get("ROOTSTOCK_HTTP_ALLOW_PRIVATE", "")

# --- people ----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 10}  # type: ignore[assignment]
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "/"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
# the locked page says when to try again, and that has to stay true
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_CALLABLE = "rootstock.accounts.views.locked_out"
AXES_USERNAME_FORM_FIELD = "username"
AXES_VERBOSE = False
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600

EMAIL_BACKEND = os.environ.get(
    "ROOTSTOCK_EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend"
)
EMAIL_HOST = os.environ.get("ROOTSTOCK_EMAIL_HOST", "localhost")
EMAIL_PORT = int(os.environ.get("ROOTSTOCK_EMAIL_PORT", "25"))
EMAIL_HOST_USER = os.environ.get("ROOTSTOCK_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("ROOTSTOCK_EMAIL_PASSWORD", "")
EMAIL_USE_TLS = os.environ.get("ROOTSTOCK_EMAIL_TLS", "") == "1"
DEFAULT_FROM_EMAIL = os.environ.get("ROOTSTOCK_EMAIL_FROM", "rootstock@localhost")

# --- REST ------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rootstock.accounts.authentication.ApiKeyAuthentication",
        "rootstock.accounts.authentication.BrowserSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rootstock.common.access.HasPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rootstock.common.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "rootstock.common.schema.RootstockSchema",
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_THROTTLE_CLASSES": ["rootstock.common.throttling.OrganisationThrottle"],
    "EXCEPTION_HANDLER": "rootstock.common.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "iso-8601",
}
# requests a minute for one key or one signed-in person
ROOTSTOCK_RATE_LIMIT = int(os.environ.get("ROOTSTOCK_RATE_LIMIT", "3000"))
# what visitors of the widget may do a minute: calls from one address, calls and messages of one visitor
ROOTSTOCK_WIDGET_IP_LIMIT = int(os.environ.get("ROOTSTOCK_WIDGET_IP_LIMIT", "600"))
ROOTSTOCK_WIDGET_VISITOR_LIMIT = int(os.environ.get("ROOTSTOCK_WIDGET_VISITOR_LIMIT", "120"))
ROOTSTOCK_WIDGET_MESSAGE_LIMIT = int(os.environ.get("ROOTSTOCK_WIDGET_MESSAGE_LIMIT", "30"))
# a virus scanner for files of visitors: a command that reads the file, or python:package.module.function
ROOTSTOCK_ATTACHMENT_SCANNER = os.environ.get("ROOTSTOCK_ATTACHMENT_SCANNER", "")
# who may read /metrics: the bearer of this token; without one, this machine only
ROOTSTOCK_METRICS_TOKEN = os.environ.get("ROOTSTOCK_METRICS_TOKEN", "")
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024

SPECTACULAR_SETTINGS = {
    "TITLE": "Rootstock",
    "DESCRIPTION": "Fine-tune foundation models on your own data and put them to work.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rootstock.common.access.SignedIn"],
    "SERVE_AUTHENTICATION": None,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "rootstock.common.schema.problem_responses",
    ],
}

# --- inference -------------------------------------------------------------------------------

INFERENCE_ADDRESS = os.environ.get(
    "ROOTSTOCK_INFERENCE_ADDRESS", f"unix://{VAR}/run/inference.sock"
)
INFERENCE_TOKEN = os.environ.get("ROOTSTOCK_INFERENCE_TOKEN", "")
# a training process that grows beyond this is stopped with a clear message
TRAINING_MEMORY_MB = int(os.environ.get("ROOTSTOCK_TRAINING_MEMORY_MB", "6144"))

# --- language, time, static ------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [ROOT / "platform" / "rootstock" / "web" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR / "media"},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

# --- security headers ------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "rootstock.common.middleware.RequestIdFilter"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["request_id"],
        },
    },
    "root": {"handlers": ["stderr"], "level": os.environ.get("ROOTSTOCK_LOG_LEVEL", "INFO")},
    "loggers": {"httpx": {"level": "WARNING"}, "axes": {"level": "WARNING"}},
}
