"""A small site with every component on it: the shell without accounts, database or workers.

`python tests/e2e/web/serve_gallery.py 8099` serves it to look at; the e2e tests of the shell run on
it, in a process of its own because it changes settings and registries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import include, path
from django.utils import timezone

HERE = Path(__file__).resolve().parent
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tests.e2e.web.gallery.person",
]


def person(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Signs everybody in; the cookie `role` chooses the role."""

    def middleware(request: Any) -> HttpResponse:
        from rootstock.tenancy.permissions import ROLE_PERMISSIONS

        role = request.COOKIES.get("role", "owner")
        request.user = _User()
        request.granted = ROLE_PERMISSIONS[role]
        request.memberships = [
            {"organisation_id": "0", "name": "Acme Bank"},
            {"organisation_id": "1", "name": "North Harbour Asset Management"},
        ]
        request.organisation = SimpleNamespace(
            id="0", name="Acme Bank", trend_colours=request.COOKIES.get("trend", "green-up")
        )
        return get_response(request)

    return middleware


class _User:
    is_authenticated = True
    is_active = True
    name = "Lin Mei"
    email = "lin@acme.example"

    def __str__(self) -> str:
        return self.name


class SampleForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(max_length=40, help_text="Shown to everybody in the organisation.")
    email = forms.EmailField()
    role = forms.ChoiceField(choices=[("owner", "Owner"), ("viewer", "Viewer")])
    scopes = forms.MultipleChoiceField(
        choices=[("finance:read", "finance:read"), ("finance:write", "finance:write")],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    notes = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    confirm = forms.BooleanField(label="Send me a message about each failed delivery")


def components(request: HttpRequest) -> HttpResponse:
    """The page with every component."""
    from rootstock.web.timerange import time_range

    messages.success(request, "The key was revoked. Programs that use it are refused from now on.")
    form = SampleForm({"name": "Newsroom", "email": "not an address"})
    rows = [
        {
            "at": timezone.now() - timedelta(minutes=7 * i),
            "title": title,
            "label": label,
            "p": p,
            "state": state,
        }
        for i, (title, label, p, state) in enumerate(
            [
                ("Acme Bank beats forecasts as lending income rises", "positive", 0.94, "scored"),
                ("Regulator opens inquiry into Acme Bank's card fees", "negative", 0.88, "scored"),
                (
                    "Acme Bank to publish third-quarter results on Tuesday",
                    "neutral",
                    0.71,
                    "scored",
                ),
                ("阿克米银行三季度净利润同比增长百分之十二", "", None, "unscored"),
                ("Outage leaves customers without access to accounts", "negative", 0.97, "failed"),
            ]
        )
    ]
    page = Paginator(range(45), 20).page(2)
    trend = [
        {"at": (timezone.now() - timedelta(minutes=30 * i)).isoformat(), "n": 20 + (i * 37) % 23,
         "neg": 4 + (i * 13) % 9}
        for i in reversed(range(48))
    ]  # fmt: skip
    return render(
        request,
        "gallery.html",
        {
            "form": form,
            "rows": rows,
            "page": page,
            "range": time_range(request),
            "trend": trend,
            "spark": [3, 4, 4, 7, 6, 9, 8, 12],
            "tabs": [("Components", "/components/"), ("Empty", "/empty/"), ("Other", "/other/")],
        },
    )


def empty(request: HttpRequest) -> HttpResponse:
    return render(request, "gallery_empty.html")


def sign_in(request: HttpRequest) -> HttpResponse:
    return render(request, "gallery_sign_in.html", {"form": SignInForm()})


class SignInForm(forms.Form):
    email = forms.EmailField(label="E-mail")
    password = forms.CharField(widget=forms.PasswordInput)


def jobs(request: HttpRequest) -> JsonResponse:
    now = timezone.now()
    common = {
        "eta_seconds": None,
        "message": "",
        "error": "",
        "finished_at": None,
        "phase": "",
        "cancel_requested": False,
    }
    return JsonResponse(
        {
            "results": [
                {**common, "id": "1", "title": "Fine-tune headlines-v3 on 12,400 headlines",
                 "state": "running", "phase": "train", "fraction": 0.42, "eta_seconds": 380,
                 "message": "epoch 2 of 4"},
                {**common, "id": "2", "title": "Import stocknet.csv", "state": "queued",
                 "fraction": None},
                {**common, "id": "3", "title": "Import headlines-2026.csv", "state": "succeeded",
                 "fraction": 1, "message": "8,120 rows, 3 skipped",
                 "finished_at": (now - timedelta(minutes=12)).isoformat()},
                {**common, "id": "4", "title": "Evaluate headlines-v2", "state": "failed",
                 "fraction": 0.8, "error": "The inference process did not answer.",
                 "finished_at": (now - timedelta(hours=3)).isoformat()},
            ],
            "next": None,
            "previous": None,
        }
    )  # fmt: skip


def register_samples() -> None:
    """What an application would register."""
    from rootstock.tenancy.permissions import Permission
    from rootstock.web import areas, navigation, overview

    # What the real applications registered reads a database that the gallery does not have.
    for registry in (navigation._areas, overview._panels, overview._sources, overview._steps):
        registry.clear()
    navigation._actions.clear()
    areas.register_own_areas()
    read = Permission.FINANCE_READ
    navigation.register(
        navigation.Area(
            "finance",
            "Public opinion",
            "book-open-text",
            [
                navigation.Item("Live", "gallery:components", read, "gauge", keys="g l"),
                navigation.Item("Alerts", "gallery:empty", read, "bell", badge=lambda r: 2),
            ],
            order=20,
        )
    )
    navigation.register_action(
        navigation.Action(
            "Import headlines",
            "gallery:empty",
            Permission.FINANCE_WRITE,
            "download",
            fragment="import",
        )
    )
    overview.register(
        overview.Panel(
            "finance",
            "Public opinion",
            "gallery:components",
            read,
            lambda r: [
                overview.Number("Headlines", 12480, "last 24 hours", "", 0.124, url="/components/"),
                overview.Number("Negative share", 31, "last 24 hours", "%", 0.31, "bad"),
                overview.Number("Time to score", 0.42, "last hour", "s", -0.18, "bad"),
            ],
        )
    )
    overview.register(
        overview.Panel(
            "models",
            "Models",
            "gallery:empty",
            read,
            lambda r: [
                overview.Number("Deployments", 2, "now"),
                overview.Number("Confidence", 86, "last 24 hours", "%", 0.0, "good"),
                overview.Number("Failed runs", 0, "last 7 days", "", None, "bad"),
            ],
        )
    )
    now = timezone.now()
    overview.register_attention(
        overview.Source(
            "finance",
            read,
            lambda r: [
                overview.Attention(
                    "Negative stories about fees surge",
                    "/empty/",
                    "31 % of 214 headlines, 6.2 times the usual; open for 7 minutes",
                    "bad",
                    now - timedelta(minutes=7),
                ),
                overview.Attention(
                    "The source “newswire-3” is silent",
                    "/empty/",
                    "The last item came 3 hours ago",
                    "warn",
                    now - timedelta(hours=3),
                ),
            ],
            stream="finance.alerts",
        )
    )
    steps = [
        ("see", "See headlines scored live", "Open Live and watch the stream.", True),
        (
            "import",
            "Import your own headlines",
            "A CSV file with a title and a date is enough.",
            True,
        ),
        ("train", "Train on your labels", "Correct twenty headlines, then start a run.", False),
        ("alert", "Be told of a surge", "Send alerts to a webhook of yours.", False),
    ]
    for order, (key, label, detail, done) in enumerate(steps):
        overview.register_step(
            overview.Step(
                key, label, detail, "gallery:empty", read, lambda r, done=done: done, order
            )
        )


def broken(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


def _schema(request: HttpRequest) -> JsonResponse:
    operation = {"summary": "List the jobs", "responses": {"200": {"description": "Jobs"}}}
    return JsonResponse(
        {
            "openapi": "3.0.3",
            "info": {"title": "Rootstock", "version": "1"},
            "paths": {"/api/v1/jobs/": {"get": operation}},
        }
    )


def _docs(request: HttpRequest) -> Any:
    from drf_spectacular.views import SpectacularSwaggerSplitView

    view = SpectacularSwaggerSplitView.as_view(permission_classes=[], authentication_classes=[])
    return view(request)


gallery_patterns = (
    [
        path("components/", components, name="components"),
        path("empty/", empty, name="empty"),
    ],
    "gallery",
)
account_patterns = (
    [
        path("account/", empty, name="profile"),
        path("organisation/switch/", empty, name="switch"),
        path("sign-out/", empty, name="sign-out"),
        path("settings/people/", empty, name="people"),
        path("settings/keys/", empty, name="keys"),
    ],
    "accounts",
)
urlpatterns = [
    path("", include(gallery_patterns)),
    path("", include(account_patterns)),
    path("sign-in/", sign_in),
    path("broken/", broken),
    path("api/v1/jobs/", jobs),
    path("api/schema/", _schema, name="schema"),
    path("api/docs/", _docs, name="api-docs"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("rootstock.web.urls")),
]
handler400 = "rootstock.web.views.bad_request"
handler403 = "rootstock.web.views.permission_denied"
handler404 = "rootstock.web.views.page_not_found"
handler500 = "rootstock.web.views.server_error"


def settings() -> dict[str, Any]:
    """What the gallery changes in the settings of the tests."""
    from django.conf import settings as now

    templates = [{**now.TEMPLATES[0], "DIRS": [HERE / "templates"]}]
    templates[0]["OPTIONS"] = {
        "context_processors": [
            name
            for name in now.TEMPLATES[0]["OPTIONS"]["context_processors"]
            if name != "django.contrib.auth.context_processors.auth"
        ]
        + ["tests.e2e.web.gallery.user"]
    }
    return {
        "ROOT_URLCONF": "tests.e2e.web.gallery",
        "MIDDLEWARE": MIDDLEWARE,
        "TEMPLATES": templates,
        "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
        "MESSAGE_STORAGE": "django.contrib.messages.storage.cookie.CookieStorage",
    }


def user(request: HttpRequest) -> dict[str, Any]:
    """Context processor: the person of the gallery."""
    return {"user": request.user}


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A test's output is not an access log."""


@contextmanager
def served(port: int = 0) -> Iterator[str]:
    """The gallery on a port of this machine; yields its address."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIServer

    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    with override_settings(**settings()):
        server = make_server("127.0.0.1", port, get_wsgi_application(), Server, _Quiet)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
