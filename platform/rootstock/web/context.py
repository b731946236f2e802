"""What every template finds under `shell`; nothing is computed before a template asks."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language

from rootstock.tenancy.permissions import Permission
from rootstock.web import navigation, overview
from rootstock.web.catalogue import catalogue_version

THEMES = ("system", "light", "dark")


class Shell:
    """The frame of one page for one person."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def theme(self) -> str:
        """`light`, `dark` or `system`, from the cookie that the theme menu writes."""
        chosen = self.request.COOKIES.get("theme", "system")
        return chosen if chosen in THEMES else "system"

    @cached_property
    def html_class(self) -> str:
        """`red-up` or `green-up`: what a rise looks like in this organisation."""
        return str(getattr(self.organisation, "trend_colours", "green-up"))

    @cached_property
    def language(self) -> str:
        """The page's language as HTML wants it: `en` or `zh-Hans`."""
        return "zh-Hans" if (get_language() or "en").startswith("zh") else "en"

    @cached_property
    def organisation(self) -> Any:
        """The organisation this page is about, or None when signed out."""
        return getattr(self.request, "organisation", None)

    @cached_property
    def areas(self) -> list[navigation.VisibleArea]:
        """The side navigation."""
        return navigation.visible_areas(self.request)

    @cached_property
    def area(self) -> navigation.VisibleArea | None:
        """The area of the current page, for its breadcrumb."""
        for area in self.areas:
            if any(link.current for link in area.links):
                return area
        return None

    @cached_property
    def link(self) -> navigation.Link | None:
        """The navigation entry of the current page, for its breadcrumb."""
        for area in self.areas:
            for link in area.links:
                if link.current:
                    return link
        return None

    @cached_property
    def catalogue_url(self) -> str:
        """The script with the Chinese (or no) strings of the TypeScript."""
        return reverse("web:catalogue", args=[get_language() or "en", catalogue_version()])

    @cached_property
    def attention_count(self) -> int:
        """How many things wait for this person."""
        return len(overview.attention(self.request))

    @cached_property
    def initial(self) -> str:
        """The letter or character that stands for the person in the bar."""
        return str(getattr(self.request, "user", ""))[:1].upper()

    @cached_property
    def may_see_jobs(self) -> bool:
        """Whether the job tray is shown."""
        return navigation.allowed(self.request, Permission.JOBS_READ)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the TypeScript of the shell needs to know."""
        return {
            "sprite": staticfiles_storage.url("dist/icons.svg"),
            "palette": navigation.palette(self.request, self.areas),
            "timeZone": timezone.get_current_timezone_name(),
            "jobs": self.may_see_jobs,
            "mayCancelJobs": navigation.allowed(self.request, Permission.JOBS_WRITE),
            "attentionUrl": reverse("web:attention"),
            "attentionStreams": overview.attention_streams(self.request),
        }


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor."""
    return {"shell": Shell(request)}
