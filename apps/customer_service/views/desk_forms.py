"""Forms of the desk's settings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models import CannedReply, Macro, SlaPolicy
from rootstock.tenancy.models import Role

ESCALATION_STEPS = 5
MACRO_STEPS = 6
_ESCALATIONS = [
    ("", "—"),
    ("notify", _("Notify a role")),
    ("priority", _("Raise the priority")),
    ("reassign", _("Give it to another agent")),
]
_ACTS = [
    ("", "—"),
    ("reply", _("Reply")),
    ("note", _("Add a note")),
    ("label", _("Add a label")),
    ("priority", _("Set the priority (0–3)")),
    ("assign", _("Assign to me")),
    ("resolve", _("Resolve")),
    ("return", _("Give to the assistant")),
]


class AgentForm(forms.Form):
    """Somebody's capacity and skills."""

    capacity = forms.IntegerField(label=_("At a time"), min_value=0, max_value=100)
    skills = forms.CharField(label=_("Skills"), max_length=2000, required=False)

    def clean_skills(self) -> list[str]:
        """Words between commas."""
        text = str(self.cleaned_data["skills"]).replace("，", ",")
        return [word.strip() for word in text.split(",") if word.strip()]


class SlaForm(forms.Form):
    """Reply times, and what follows when they are missed."""

    first_reply = forms.IntegerField(
        label=_("First answer within"),
        min_value=1,
        max_value=43_200,
        help_text=_("Minutes from the hand-off to people."),
    )
    next_reply = forms.IntegerField(
        label=_("Further answers within"),
        min_value=1,
        max_value=43_200,
        help_text=_("Minutes from the customer's message."),
    )
    business_hours_only = forms.BooleanField(
        label=_("Only business hours count"),
        required=False,
        help_text=_(
            "The clock stands still outside of the channel's hours and on its holidays. An "
            "installation without hours is open all day."
        ),
    )

    def __init__(self, *arguments: Any, policy: SlaPolicy, **options: Any) -> None:
        steps = policy.escalation
        initial: dict[str, Any] = {
            "first_reply": max(1, policy.first_reply_seconds // 60),
            "next_reply": max(1, policy.next_reply_seconds // 60),
            "business_hours_only": policy.business_hours_only,
        }
        for place, step in enumerate(steps):
            initial |= {
                f"after_{place}": step["after_seconds"] // 60,
                f"do_{place}": step["do"],
                f"role_{place}": step.get("role", Role.MANAGER),
            }
        super().__init__(*arguments, **{"initial": initial} | options)
        for place in range(max(ESCALATION_STEPS, len(steps))):
            after = forms.IntegerField(
                label=_("Minutes after the missed time"),
                min_value=0,
                max_value=43_200,
                required=False,
            )
            do = forms.ChoiceField(label=_("What happens"), choices=_ESCALATIONS, required=False)
            role = forms.ChoiceField(
                label=_("Who is told"), choices=Role.choices, required=False, initial=Role.MANAGER
            )
            self.fields |= {f"after_{place}": after, f"do_{place}": do, f"role_{place}": role}

    @property
    def steps(self) -> list[tuple[forms.BoundField, forms.BoundField, forms.BoundField]]:
        """The rows of the escalation."""
        count = sum(name.startswith("do_") for name in self.fields)
        return [
            (self[f"after_{place}"], self[f"do_{place}"], self[f"role_{place}"])
            for place in range(count)
        ]

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        given = self.cleaned_data
        escalation = []
        for place in range(len(self.steps)):
            do = given.get(f"do_{place}")
            if not do:
                continue
            step: dict[str, Any] = {"after_seconds": 60 * (given[f"after_{place}"] or 0), "do": do}
            if do == "notify":
                step["role"] = given[f"role_{place}"]
            escalation.append(step)
        escalation.sort(key=lambda step: step["after_seconds"])
        return {
            "first_reply_seconds": 60 * given["first_reply"],
            "next_reply_seconds": 60 * given["next_reply"],
            "business_hours_only": given["business_hours_only"],
            "escalation": escalation,
        }


class LabelForm(forms.Form):
    """A label."""

    name = forms.CharField(label=_("Name"), max_length=60)


class CannedForm(forms.Form):
    """A canned reply in both languages."""

    short = forms.CharField(
        label=_("Short name"),
        max_length=40,
        help_text=_("One word; agents type / and its first letters."),
    )
    en = forms.CharField(
        label=_("English"), max_length=4000, required=False, widget=forms.Textarea({"rows": 4})
    )
    zh = forms.CharField(
        label=_("Chinese"),
        max_length=4000,
        required=False,
        widget=forms.Textarea({"rows": 4, "lang": "zh-Hans"}),
        help_text=_("{customer} and {agent} stand for the names."),
    )

    @classmethod
    def initial_of(cls, canned: CannedReply | None) -> dict[str, str]:
        """What the form begins with."""
        return {"short": canned.short, **canned.bodies} if canned else {}

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        given = self.cleaned_data
        return {"short": given["short"], "bodies": {key: given[key] for key in ("en", "zh")}}


class MacroForm(forms.Form):
    """A macro: its steps in their order, unused rows empty."""

    name = forms.CharField(label=_("Name"), max_length=80)

    def __init__(self, *arguments: Any, macro: Macro | None = None, **options: Any) -> None:
        initial: dict[str, Any] = {"name": macro.name} if macro else {}
        for place, step in enumerate(macro.steps if macro else []):
            value = step.get("label", step.get("priority", step.get("text", "")))
            if step.get("canned"):
                value = f"/{step['canned']}"
            initial |= {f"do_{place}": step["do"], f"value_{place}": value}
        super().__init__(*arguments, **{"initial": initial} | options)
        for place in range(MACRO_STEPS):
            self.fields[f"do_{place}"] = forms.ChoiceField(
                label=_("Step"), choices=_ACTS, required=False
            )
            self.fields[f"value_{place}"] = forms.CharField(
                label=_("Text, label or priority"),
                max_length=4000,
                required=False,
                widget=forms.Textarea({"rows": 1}),
            )

    @property
    def steps(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """The rows."""
        return [(self[f"do_{place}"], self[f"value_{place}"]) for place in range(MACRO_STEPS)]

    def values(self) -> dict[str, Any]:
        """What the service takes; a reply "/hours" is the canned reply of that name."""
        steps = []
        for place in range(MACRO_STEPS):
            do = self.cleaned_data.get(f"do_{place}")
            if do:
                steps.append(_step(do, str(self.cleaned_data[f"value_{place}"]).strip()))
        return {"name": self.cleaned_data["name"], "steps": steps}


def macro_words(macro: Macro) -> list[str]:
    """Its steps as the page lists them: "Reply /hours"."""
    # The form tells the range, the list the value.
    names = {**dict(_ACTS), "priority": _("Set the priority")}
    return [
        " ".join([str(names.get(step["do"], step["do"])), *map(str, _given(step))])
        for step in macro.steps
    ]


def _given(step: dict[str, Any]) -> list[Any]:
    """What a step is done with."""
    if step.get("canned"):
        return [f"/{step['canned']}"]
    if step.get("text"):
        return [f"“{Truncator(step['text']).chars(40)}”"]
    return [step[name] for name in ("label", "priority") if name in step]


def _step(do: str, value: str) -> dict[str, Any]:
    if do == "reply" and value.startswith("/") and len(value.split()) == 1:
        return {"do": do, "canned": value[1:]}
    if do in ("reply", "note"):
        return {"do": do, "text": value}
    if do == "label":
        return {"do": do, "label": value}
    if do == "priority":
        return {"do": do, "priority": int(value) if value in ("0", "1", "2", "3") else value}
    return {"do": do}
