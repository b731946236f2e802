"""Forms of alerts, channels, chains, routes and silences; what is allowed is the services' to say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models import (
    AlertChannel,
    AlertRoute,
    EscalationChain,
    EscalationStep,
    Medium,
    NoticeSettings,
    Rule,
    SubjectKind,
)
from apps.finance_sentiment.selectors.alerting import channels_shared, people
from apps.finance_sentiment.services.alerting.chains import StepInput
from rootstock.common.ids import uuid_of
from rootstock.tenancy.models import Role

STEPS = 10
WEEKDAYS = [
    (0, _("Monday")),
    (1, _("Tuesday")),
    (2, _("Wednesday")),
    (3, _("Thursday")),
    (4, _("Friday")),
    (5, _("Saturday")),
    (6, _("Sunday")),
]
_Kind = EscalationStep.Kind
_LENGTHS = [
    (60, _("1 hour")),
    (240, _("4 hours")),
    (1440, _("1 day")),
    (10_080, _("1 week")),
]


def zones() -> list[tuple[str, Any]]:
    """That of the organisation, then every other by name."""
    return [
        ("", _("That of the organisation")),
        *((zone, zone) for zone in sorted(available_timezones())),
    ]


def _rules() -> list[tuple[str, str]]:
    return [(str(rule.pk), rule.name) for rule in Rule.objects.order_by("name")]


class AlertActionForm(forms.Form):
    """What one does about an alert may have a word with it."""

    comment = forms.CharField(
        label=_("Comment"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class AssignForm(forms.Form):
    """Who is to have it."""

    user = forms.ChoiceField(label=_("Person"), required=False)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        members = [(str(member.user_id), str(member.user)) for member in people()]
        self.fields["user"].choices = [("", _("Nobody")), *members]  # type: ignore[attr-defined]


class QuietSilenceForm(forms.Form):
    """A silence of the alert that one looks at."""

    minutes = forms.TypedChoiceField(label=_("For"), choices=_LENGTHS, coerce=int)
    reason = forms.CharField(label=_("Why"), max_length=500)


class MatcherForm(forms.Form):
    """Which alerts are meant; what is left empty means all."""

    rules = forms.MultipleChoiceField(
        label=_("Rules"), required=False, widget=forms.CheckboxSelectMultiple
    )
    kinds = forms.MultipleChoiceField(
        label=_("Kinds of subjects"),
        required=False,
        choices=SubjectKind.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    keys = forms.CharField(
        label=_("Subjects"),
        required=False,
        max_length=2000,
        help_text=_("Keys between commas, such as energy or bank-*; * stands for anything."),
    )
    least_score = forms.FloatField(
        label=_("Score at least"), required=False, min_value=0, max_value=1e6
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["rules"].choices = _rules()  # type: ignore[attr-defined]
        if not self.fields["rules"].choices:  # type: ignore[attr-defined]
            del self.fields["rules"]

    @staticmethod
    def initial_of(matcher: dict[str, Any]) -> dict[str, Any]:
        """What the fields show of a stored one."""
        return {**matcher, "keys": ", ".join(matcher.get("keys", []))}

    def matcher(self) -> dict[str, Any]:
        """As the services take it."""
        data = self.cleaned_data
        keys = str(data["keys"]).replace("，", ",").split(",")
        return {
            "rules": data.get("rules", []),
            "kinds": data["kinds"],
            "keys": [key.strip() for key in keys if key.strip()],
            "least_score": data["least_score"],
        }


class SilenceForm(MatcherForm):
    """A silence."""

    reason = forms.CharField(label=_("Why"), max_length=500)
    minutes = forms.TypedChoiceField(label=_("For"), choices=_LENGTHS, coerce=int)
    field_order = ("reason", "minutes", "kinds", "keys", "rules", "least_score")

    def ends_at(self) -> Any:
        """When it is over."""
        return timezone.now() + timedelta(minutes=self.cleaned_data["minutes"])


class RouteForm(MatcherForm):
    """A route."""

    name = forms.CharField(label=_("Name"), max_length=80)
    chain = forms.ChoiceField(
        label=_("Chain"), required=False, help_text=_("Without one nobody is told.")
    )
    group_by = forms.MultipleChoiceField(
        label=_("One message for alerts of the same"),
        required=False,
        choices=AlertRoute.GroupBy.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Nothing chosen: all alerts of this route go in one message."),
    )
    group_wait_seconds = forms.IntegerField(
        label=_("Wait for more alerts, seconds"), min_value=0, max_value=86_400, initial=30
    )
    position = forms.IntegerField(
        label=_("Order"),
        min_value=0,
        max_value=30_000,
        initial=0,
        help_text=_("The first route that matches is taken; small numbers come first."),
    )
    enabled = forms.BooleanField(label=_("In use"), required=False, initial=True)
    field_order = (
        "name", "chain", "kinds", "keys", "rules", "least_score", "group_by", "group_wait_seconds",
        "position", "enabled",
    )  # fmt: skip

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        chains = [(str(row.pk), row.name) for row in EscalationChain.objects.order_by("name")]
        self.fields["chain"].choices = [("", _("Nobody")), *chains]  # type: ignore[attr-defined]

    @classmethod
    def initial_route(cls, route: AlertRoute) -> dict[str, Any]:
        """What the fields show of a route."""
        names = ("name", "group_by", "group_wait_seconds", "position", "enabled")
        return {
            **cls.initial_of(route.matcher),
            **{name: getattr(route, name) for name in names},
            "chain": str(route.chain_id or ""),
        }

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        data = self.cleaned_data
        names = ("name", "group_by", "group_wait_seconds", "position", "enabled")
        return {
            **{name: data[name] for name in names},
            "chain_id": uuid_of(data["chain"]),
            "matcher": self.matcher(),
        }


class ChainForm(forms.Form):
    """A chain: a row a step, each with whom it tells or with a number."""

    name = forms.CharField(label=_("Name"), max_length=80)
    description = forms.CharField(label=_("What it is for"), max_length=300, required=False)

    def __init__(self, data: Any = None, *, chain: EscalationChain | None = None) -> None:
        initial: dict[str, Any] = {}
        if chain is not None:
            initial = {"name": chain.name, "description": chain.description}
            for place, step in enumerate(chain.steps.order_by("position")):
                initial |= {
                    f"do_{place}": _DO.get(_Kind(step.kind), "tell"),
                    f"whom_{place}": _whom(step),
                    f"number_{place}": _number(step),
                }
        super().__init__(data, initial=initial)
        self._places = max(STEPS, sum(name.startswith("do_") for name in initial))
        whom = _choices()
        for place in range(self._places):
            self.fields[f"do_{place}"] = forms.ChoiceField(
                label=_("What is done"), choices=_DOES, required=False
            )
            self.fields[f"whom_{place}"] = forms.ChoiceField(
                label=_("Who is told"), choices=whom, required=False
            )
            self.fields[f"number_{place}"] = forms.FloatField(
                label=_("Number"), min_value=0, max_value=1e6, required=False
            )

    def steps(self) -> Iterator[tuple[Any, Any, Any]]:
        """The fields of each row."""
        for place in range(self._places):
            yield self[f"do_{place}"], self[f"whom_{place}"], self[f"number_{place}"]

    def values(self) -> dict[str, Any]:
        """As the service takes them; rows without a choice are left out."""
        data = self.cleaned_data
        rows = [
            _step(data[f"do_{n}"], data[f"whom_{n}"], data[f"number_{n}"] or 0)
            for n in range(self._places)
            if data[f"do_{n}"]
        ]
        return {"name": data["name"], "description": data["description"], "steps": rows}


_DO = {_Kind.WAIT: "wait", _Kind.ONLY_IF: "only_if", _Kind.REPEAT: "repeat"}
_DOES = [
    ("", "—"),
    ("tell", _("Tell")),
    ("wait", _("Wait, minutes")),
    ("only_if", _("Go on only if the score is at least")),
    ("repeat", _("Begin again, times")),
]


def _choices() -> list[tuple[str, Any]]:
    shared = [(f"channel:{row.pk}", row.name) for row in channels_shared()]
    persons = [(f"person:{row.user_id}", str(row.user)) for row in people()]
    roles = [(f"role:{value}", label) for value, label in Role.choices]
    groups = [(_("Channels"), shared), (_("People"), persons), (_("Everybody of a role"), roles)]
    return [("", "—"), *((label, rows) for label, rows in groups if rows)]  # type: ignore[list-item]


def _whom(step: EscalationStep) -> str:
    values = {
        _Kind.PERSON: f"person:{step.user_id}",
        _Kind.ROLE: f"role:{step.role}",
        _Kind.CHANNEL: f"channel:{step.channel_id}",
    }
    return values.get(_Kind(step.kind), "")


def _number(step: EscalationStep) -> float | None:
    values = {
        _Kind.WAIT: step.wait_seconds / 60,
        _Kind.ONLY_IF: step.score,
        _Kind.REPEAT: step.times,
    }
    return values.get(_Kind(step.kind))


def _step(do: str, whom: str, number: float) -> StepInput:
    if do == "wait":
        return StepInput(_Kind.WAIT, wait_seconds=round(number * 60))
    if do == "only_if":
        return StepInput(_Kind.ONLY_IF, score=number)
    if do == "repeat":
        return StepInput(_Kind.REPEAT, times=int(number))
    kind, _colon, value = whom.partition(":")
    if kind == _Kind.ROLE:
        return StepInput(kind, role=value)
    if kind == _Kind.CHANNEL:
        return StepInput(kind, channel_id=uuid_of(value))
    return StepInput(_Kind.PERSON, user_id=uuid_of(value))


class QuietForm(forms.Form):
    """When messages wait."""

    quiet_from = forms.TimeField(
        label=_("Quiet from"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    quiet_until = forms.TimeField(
        label=_("Quiet until"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text=_("What comes meanwhile is sent then, in one message."),
    )
    quiet_days = forms.TypedMultipleChoiceField(
        label=_("On the evenings of"),
        choices=WEEKDAYS,
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Nothing chosen: every day."),
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, choices=lazy(zones, list))
    urgent_score = forms.FloatField(
        label=_("Let through from a score of"), required=False, min_value=0, max_value=1e6
    )
    digest_minutes = forms.IntegerField(
        label=_("Digest every, minutes"),
        min_value=0,
        max_value=1440,
        initial=0,
        help_text=_("0 sends each message at once."),
    )
    QUIET = (
        "quiet_from", "quiet_until", "quiet_days", "time_zone", "urgent_score", "digest_minutes",
    )  # fmt: skip


class NoticeForm(QuietForm):
    """How one person wants to be told."""

    by_email = forms.BooleanField(
        label=_("By e-mail to my account"),
        required=False,
        help_text=_("Channels of your own are used instead, once you have some."),
    )
    field_order = ("by_email", *QuietForm.QUIET)

    @classmethod
    def initial_of(cls, row: NoticeSettings) -> dict[str, Any]:
        """What the fields show."""
        return {name: getattr(row, name) for name in ("by_email", *cls.QUIET)}


class ChannelForm(QuietForm):
    """What can be changed of a channel."""

    name = forms.CharField(label=_("Name"), max_length=80)
    address = forms.CharField(
        label=_("New address"),
        max_length=500,
        required=False,
        help_text=_("Kept encrypted and never shown again. Leave it empty to keep the old one."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    secret = forms.CharField(
        label=_("New secret"),
        max_length=200,
        required=False,
        help_text=_(
            "With which Feishu or DingTalk has messages signed. For a webhook: write anything, and a new "
            "one of ours is shown once."
        ),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    tells_end = forms.BooleanField(
        label=_("Say also when an alert is over"), required=False, initial=True
    )
    enabled = forms.BooleanField(label=_("In use"), required=False, initial=True)
    field_order = ("name", "address", "secret", "tells_end", *QuietForm.QUIET, "enabled")

    @classmethod
    def initial_of(cls, row: AlertChannel) -> dict[str, Any]:
        """What the fields show."""
        return {name: getattr(row, name) for name in ("name", "tells_end", "enabled", *cls.QUIET)}


class ChannelNewForm(forms.Form):
    """A new channel; hours and digests are set on its page."""

    name = forms.CharField(label=_("Name"), max_length=80)
    medium = forms.ChoiceField(
        label=_("Way"), choices=[row for row in Medium.choices if row[0] != Medium.IN_APP]
    )
    address = forms.CharField(
        label=_("Address"),
        max_length=500,
        help_text=_(
            "An e-mail address, the URL of a program of yours, or the address that Feishu, DingTalk, "
            "WeCom or Slack gave for its robot. Kept encrypted and never shown again."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    secret = forms.CharField(
        label=_("Secret"),
        max_length=200,
        required=False,
        help_text=_("Only if the robot of Feishu or DingTalk asks for signed messages."),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    personal = forms.BooleanField(
        label=_("Mine alone"),
        required=False,
        help_text=_("What is meant for you goes there; nobody else sees the channel."),
    )


class PolicyForm(forms.Form):
    """What holds for all alerts."""

    wider_silences_narrower = forms.BooleanField(
        label=_("A wider alert silences narrower ones"),
        required=False,
        help_text=_(
            "One on everything silences those on topics and companies; one on a topic silences those "
            "on companies of the same stories."
        ),
    )
