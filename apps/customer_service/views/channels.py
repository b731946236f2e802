"""Widget: how does it look on my page, and how do I add it?"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views import View
from django.views.decorators.clickjacking import xframe_options_exempt

from apps.customer_service.models import Channel, Conversation
from apps.customer_service.selectors.channels import channel_get, channels_all
from apps.customer_service.services import channels as services
from apps.customer_service.services.channel_check import Finding, page_check, tag_html
from apps.customer_service.views.channel_examples import EXAMPLES, USE
from apps.customer_service.views.channel_forms import (
    CheckForm,
    FieldSet,
    HoursForm,
    LookForm,
    SitesForm,
    fields_of,
    pre_chat_of,
)
from rootstock.gateway.late import LateAnswer
from rootstock.tenancy.pages import RequiresMixin
from rootstock.tenancy.permissions import Permission

TEMPLATES = "customer_service/channels"


class ChannelsView(RequiresMixin, View):
    """The installations."""

    permission = Permission.SERVICE_READ

    def get(self, request: HttpRequest) -> HttpResponse:
        """Each with its sites and whether visitors write through it."""
        channels = channels_all()
        latest = {
            channel.pk: Conversation.objects.filter(channel=channel)
            .order_by("-created_at")
            .values_list("created_at", flat=True)
            .first()
            for channel in channels
        }
        rows = [{"channel": channel, "latest": latest[channel.pk]} for channel in channels]
        return render(
            request, f"{TEMPLATES}/list.html", {"rows": rows, "may_change": may_change(request)}
        )


class ChannelNewView(RequiresMixin, View):
    """A new one."""

    permission = Permission.SERVICE_WRITE

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form."""
        return self._render(request, SitesForm(initial={"enabled": True}))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Make it, and go to its tag."""
        form = SitesForm(request.POST)
        if form.is_valid():
            try:
                channel = services.channel_create(actor=request.actor, **form.settings())  # type: ignore[attr-defined]
            except ValidationError as error:
                form.add_error(None, error)
            else:
                return redirect("service:channel", channel.pk)
        return self._render(request, form, status=422)

    def _render(self, request: HttpRequest, form: forms.Form, status: int = 200) -> HttpResponse:
        return render(request, f"{TEMPLATES}/new.html", {"form": form}, status=status)


class _ChannelPage(RequiresMixin, View):
    """One page of a channel: a form, saved as a whole."""

    permission = Permission.SERVICE_READ
    form_class: type[Any] = SitesForm
    template = ""
    address = ""

    def get(self, request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
        """As it is."""
        channel = channel_get(channel_id)
        form = self.form_class(initial=self.form_class.of(channel))
        return self.show(request, channel, form)

    def post(self, request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
        """Change it."""
        refuse_readers(request)
        channel = channel_get(channel_id)
        form = self.form_class(request.POST)
        if form.is_valid() and self.save(request, channel, form):
            messages.success(request, _("Saved."))
            return redirect(self.address, channel.pk)
        return self.show(request, channel, form, status=422)

    def save(self, request: HttpRequest, channel: Channel, form: Any) -> bool:
        """Whether it could be saved; else the form says why not."""
        try:
            services.channel_update(channel=channel, actor=request.actor, **form.settings())  # type: ignore[attr-defined]
        except ValidationError as error:
            self.refused(form, error)
            return False
        return True

    def refused(self, form: Any, error: ValidationError) -> None:
        """Each fault at its field, where the form has one of that name."""
        for name, texts in error.message_dict.items():
            form.add_error(name if name in form.fields else None, texts)

    def show(
        self, request: HttpRequest, channel: Channel, form: Any, status: int = 200, **more: Any
    ) -> HttpResponse:
        """The page with its tabs."""
        context = {
            "channel": channel,
            "form": form,
            "may_change": may_change(request),
            "tab_items": tabs(channel),
            **more,
        }
        return render(request, f"{TEMPLATES}/{self.template}", context, status=status)


class ChannelView(_ChannelPage):
    """The tag, whether it works on a page, and on which sites it may."""

    form_class = SitesForm
    template = "install.html"
    address = "service:channel"

    def show(
        self, request: HttpRequest, channel: Channel, form: Any, status: int = 200, **more: Any
    ) -> HttpResponse:
        """With the tag and the lines for a policy."""
        ours = home(request)
        more = {
            "tag": tag_html(ours, channel.key),
            "policy": f"script-src {ours}; frame-src {ours}",
            "check": CheckForm(
                initial={"url": channel.origins[0] + "/" if channel.origins else ""}
            ),
            **more,
        }
        return super().show(request, channel, form, status, **more)


class ChannelLookView(_ChannelPage):
    """Colour, place and words, with the widget beside them."""

    form_class = LookForm
    template = "look.html"
    address = "service:channel-look"

    def show(
        self, request: HttpRequest, channel: Channel, form: Any, status: int = 200, **more: Any
    ) -> HttpResponse:
        """With the address of the preview."""
        preview = {"url": reverse("service:channel-preview", args=[channel.pk])}
        return super().show(request, channel, form, status, preview=preview, **more)


class ChannelHoursView(_ChannelPage):
    """When people answer, what is asked first, and from which passages the assistant answers."""

    form_class = HoursForm
    template = "hours.html"
    address = "service:channel-hours"

    def post(self, request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
        """Change it, with the fields of the form before a conversation."""
        refuse_readers(request)
        channel = channel_get(channel_id)
        form, fields = HoursForm(request.POST), FieldSet(request.POST, prefix="fields")
        if form.is_valid() and fields.is_valid():
            asked = pre_chat_of([row.cleaned_data for row in fields])
            try:
                services.channel_update(
                    channel=channel,
                    actor=request.actor,  # type: ignore[attr-defined]
                    pre_chat=asked,
                    **form.settings(),
                )
            except ValidationError as error:
                self.refused(form, error)
            else:
                messages.success(request, _("Saved."))
                return redirect(self.address, channel.pk)
        return self.show(request, channel, form, status=422, fields=fields)

    def show(
        self, request: HttpRequest, channel: Channel, form: Any, status: int = 200, **more: Any
    ) -> HttpResponse:
        """With the rows of the fields."""
        more.setdefault("fields", FieldSet(initial=fields_of(channel), prefix="fields"))
        return super().show(request, channel, form, status, **more)


class IdentityForm(forms.Form):
    """Whether strangers may write."""

    identity_required = forms.BooleanField(required=False)

    @classmethod
    def of(cls, channel: Channel) -> dict[str, Any]:
        """What the channel says now."""
        return {"identity_required": channel.identity_required}

    def settings(self) -> dict[str, Any]:
        """As the services take it."""
        return dict(self.cleaned_data)


class ChannelIdentityView(_ChannelPage):
    """Who a visitor is, vouched for by the company's own server."""

    permission = Permission.SERVICE_WRITE
    form_class = IdentityForm
    template = "identity.html"
    address = "service:channel-identity"

    def show(
        self, request: HttpRequest, channel: Channel, form: Any, status: int = 200, **more: Any
    ) -> HttpResponse:
        """With programs that sign; the secret must not stay in a cache."""
        response = super().show(request, channel, form, status, examples=EXAMPLES, use=USE, **more)
        response["Cache-Control"] = "no-store"
        return response


class ChannelRotateView(RequiresMixin, View):
    """A new secret."""

    permission = Permission.SERVICE_WRITE

    def post(self, request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
        """Make it."""
        services.channel_rotate_secret(channel=channel_get(channel_id), actor=request.actor)  # type: ignore[attr-defined]
        messages.success(
            request, _("There is a new secret. Identities signed with the old one are refused.")
        )
        return redirect("service:channel-identity", channel_id)


class ChannelRemoveView(RequiresMixin, View):
    """Away with it."""

    permission = Permission.SERVICE_WRITE

    def post(self, request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
        """Remove it when its name was typed to confirm."""
        channel = channel_get(channel_id)
        if request.POST.get("confirm") != channel.name:
            messages.error(request, _("The name does not match; nothing was removed."))
            return redirect("service:channel", channel_id)
        services.channel_delete(channel=channel, actor=request.actor)  # type: ignore[attr-defined]
        messages.success(request, _("The channel is removed."))
        return redirect("service:channels")


class ChannelCheckView(RequiresMixin, View):
    """Whether the tag works on a page."""

    permission = Permission.SERVICE_READ

    def post(self, request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
        """Fetch the page, after the transaction, and say what was found."""
        channel = channel_get(channel_id)
        form = CheckForm(request.POST)
        if not form.is_valid():
            return self._render(
                request, "", [Finding(False, "address", _("Give the address of a page."))]
            )
        url = form.cleaned_data["url"]
        ours, language = home(request), translation.get_language()

        def finish() -> HttpResponse:
            with override(language):
                findings = page_check(
                    url=url,
                    home=ours,
                    key=channel.key,
                    origins=channel.origins,
                    enabled=channel.enabled,
                )
                return self._render(request, url, findings)

        return LateAnswer(finish)

    def _render(self, request: HttpRequest, url: str, findings: list[Finding]) -> HttpResponse:
        works = all(finding.ok for finding in findings)
        reached = not any(finding.code == "unreachable" for finding in findings)
        context = {"url": url, "findings": findings, "works": works, "reached": reached}
        return render(request, f"{TEMPLATES}/_check.html", context)


@method_decorator(xframe_options_exempt, name="dispatch")
class ChannelPreviewView(RequiresMixin, View):
    """The widget's own frame, with nobody behind it; only our pages may show it."""

    permission = Permission.SERVICE_READ

    def get(self, request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
        """The frame."""
        channel = channel_get(channel_id)
        about = {
            "key": channel.key,
            "origins": [home(request)],
            "preview": True,
            "greeting": {},
            "suggestions": [],
            "title": {},
            **channel.appearance,
        }
        response = render(request, "customer_service/widget_frame.html", {"about": about})
        response["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
        )
        return response


def home(request: HttpRequest) -> str:
    """Our origin, as visitors' browsers reach it."""
    if settings.ROOTSTOCK_URL.startswith("https://"):
        return str(settings.ROOTSTOCK_URL.rstrip("/"))
    return f"{request.scheme}://{request.get_host()}"


def tabs(channel: Channel) -> list[tuple[str, str]]:
    """The pages of a channel."""
    return [
        (str(label), reverse(f"service:{name}", args=[channel.pk]))
        for label, name in (
            (_("Add it to a page"), "channel"),
            (_("Look and words"), "channel-look"),
            (_("Hours and questions"), "channel-hours"),
            (_("Signed identity"), "channel-identity"),
        )
    ]


def may_change(request: HttpRequest) -> bool:
    """Whether this person may change channels."""
    return Permission.SERVICE_WRITE in request.granted  # type: ignore[attr-defined]


def refuse_readers(request: HttpRequest) -> None:
    """Raise PermissionDenied for those who may only look."""
    if not may_change(request):
        raise PermissionDenied
