"""What a channel may be set to: everything that comes from a form or REST is checked and written one way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.customer_service.models import PUBLIC_AUDIENCE

LANGUAGES = ("en", "zh")
DEFAULT_COLOUR = "#4450c4"
MOST_ORIGINS = 50
MOST_SUGGESTIONS = 6
MOST_FIELDS = 8
LONGEST_TITLE = 60
LONGEST_GREETING = 500
LONGEST_SUGGESTION = 80
FIELD_KINDS = ("text", "email", "choice")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS6 = re.compile(r"\[[0-9a-f:.]{2,45}\]")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_AUDIENCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")


def origin_clean(text: str) -> str:
    """`https://Shop.Example/` as `https://shop.example`: scheme, host and a port that is not the usual one.

    What comes out holds nothing but letters, digits and `-.:/[]`: it is written into headers as it is.

    Raises:
        ValidationError: it is no address of a site.
    """
    given = text.strip()
    wrong = ValidationError(
        _("%(text)s is not the address of a site, such as https://shop.example.")
        % {"text": given[:80]}
    )
    try:
        parts = urlsplit(given)
        host = (parts.hostname or "").encode("idna").decode("ascii").lower()
        port = parts.port
    except (ValueError, UnicodeError) as error:
        raise wrong from error
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not host or len(given) > 200:
        raise wrong
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValidationError(
            _("%(text)s has a path. A site is allowed as a whole: leave it out.")
            % {"text": given[:80]}
        )
    host = f"[{host}]" if ":" in host else host
    if not _ADDRESS6.fullmatch(host) and not all(
        _LABEL.fullmatch(label) for label in host.split(".")
    ):
        raise wrong
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, usual} else "")


def origins_clean(origins: Iterable[str]) -> list[str]:
    """Each once, in the order given.

    Raises:
        ValidationError: one of them is no address of a site, or there are too many.
    """
    cleaned = list(dict.fromkeys(origin_clean(origin) for origin in origins if origin.strip()))
    if len(cleaned) > MOST_ORIGINS:
        raise ValidationError(_("There are at most %(most)s sites.") % {"most": MOST_ORIGINS})
    return cleaned


def texts_clean(given: Any, longest: int) -> dict[str, str]:
    """A text in the languages of the widget; languages without one are left out.

    Raises:
        ValidationError: it is no object of texts, or one is too long.
    """
    if not isinstance(given, Mapping) or set(given) - set(LANGUAGES):
        raise ValidationError(_('Texts are written as {"en": "…", "zh": "…"}.'))
    cleaned = {}
    for language in LANGUAGES:
        text = given.get(language, "")
        if not isinstance(text, str) or "\x00" in text:
            raise ValidationError(_('Texts are written as {"en": "…", "zh": "…"}.'))
        if len(text.strip()) > longest:
            raise ValidationError(
                _("A text has at most %(longest)s characters.") % {"longest": longest}
            )
        if text.strip():
            cleaned[language] = text.strip()
    return cleaned


def appearance_clean(given: Any) -> dict[str, Any]:
    """How the widget looks and what it says first; what is not given is as usual.

    Raises:
        ValidationError: with what is wrong.
    """
    known = {"colour", "scheme", "position", "title", "greeting", "suggestions"}
    if not isinstance(given, Mapping) or set(given) - known:
        raise ValidationError(
            _("An appearance has %(names)s.") % {"names": ", ".join(sorted(known))}
        )
    colour = str(given.get("colour") or DEFAULT_COLOUR).lower()
    if not _COLOUR.fullmatch(colour):
        raise ValidationError(_("A colour is written as #4450c4."))
    suggestions = given.get("suggestions", [])
    if not isinstance(suggestions, list) or len(suggestions) > MOST_SUGGESTIONS:
        raise ValidationError(
            _("There are at most %(most)s suggestions.") % {"most": MOST_SUGGESTIONS}
        )
    cleaned = [texts_clean(one, LONGEST_SUGGESTION) for one in suggestions]
    return {
        "colour": colour,
        "scheme": _one_of(given.get("scheme", "auto"), ("auto", "light", "dark")),
        "position": _one_of(given.get("position", "right"), ("right", "left")),
        "title": texts_clean(given.get("title", {}), LONGEST_TITLE),
        "greeting": texts_clean(given.get("greeting", {}), LONGEST_GREETING),
        "suggestions": [one for one in cleaned if one],
    }


def pre_chat_clean(given: Any) -> dict[str, Any]:
    """The fields that are asked before a conversation.

    Raises:
        ValidationError: with what is wrong.
    """
    if not given:
        return {}
    fields = given.get("fields") if isinstance(given, Mapping) else None
    if not isinstance(fields, list) or len(fields) > MOST_FIELDS:
        raise ValidationError(
            _("A form has a list of at most %(most)s fields.") % {"most": MOST_FIELDS}
        )
    cleaned = [_field_clean(field) for field in fields]
    names = [field["name"] for field in cleaned]
    if len(set(names)) < len(names):
        raise ValidationError(_("Two fields have the same name."))
    return {"fields": cleaned} if cleaned else {}


def hours_clean(given: Any) -> dict[str, list[list[str]]]:
    """Opening times by day of the week; days without any are left out.

    Raises:
        ValidationError: a day or a time is not one.
    """
    if not isinstance(given, Mapping) or set(given) - set(DAYS):
        raise ValidationError(_("Days are %(days)s.") % {"days": ", ".join(DAYS)})
    cleaned: dict[str, list[list[str]]] = {}
    for day in DAYS:
        spans = given.get(day) or []
        if not isinstance(spans, list | tuple):
            raise ValidationError(_("Times are written as 09:00-18:00."))
        spans = [_span_clean(span) for span in spans]
        if spans:
            cleaned[day] = sorted(spans)
    return cleaned


def audiences_clean(given: Iterable[str]) -> list[str]:
    """Words for groups of readers; everybody's passages when none is named.

    Raises:
        ValidationError: one is no such word.
    """
    names = list(dict.fromkeys(name.strip().lower() for name in given if name.strip()))
    for name in names:
        if not _AUDIENCE.fullmatch(name):
            raise ValidationError(
                _("%(name)s: an audience is letters, digits, - and _.") % {"name": name[:60]}
            )
    return names or [PUBLIC_AUDIENCE]


def _field_clean(field: Any) -> dict[str, Any]:
    if not isinstance(field, Mapping):
        raise ValidationError(_("A field is an object with a name, a kind and a label."))
    name, kind = field.get("name"), _one_of(field.get("kind", "text"), FIELD_KINDS)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValidationError(_("The name of a field is lower-case letters, digits and _."))
    label = texts_clean(field.get("label", {}), LONGEST_TITLE)
    if not label:
        raise ValidationError(_("The field %(name)s has no label.") % {"name": name})
    cleaned = {
        "name": name,
        "kind": kind,
        "required": bool(field.get("required", False)),
        "label": label,
    }
    if kind == "choice":
        choices = field.get("choices")
        if not isinstance(choices, list) or not 1 <= len(choices) <= 20:
            raise ValidationError(_("A choice has from 1 to 20 answers."))
        cleaned["choices"] = [
            texts_clean({"en": one} if isinstance(one, str) else one, LONGEST_SUGGESTION)
            for one in choices
        ]
    return cleaned


def _span_clean(span: Sequence[Any]) -> list[str]:
    if isinstance(span, str) or len(span) != 2:
        raise ValidationError(_("Times are written as 09:00-18:00."))
    for clock in span:
        if not isinstance(clock, str) or not _CLOCK.fullmatch(clock):
            raise ValidationError(
                _("%(clock)s is not a time such as 09:00.") % {"clock": str(clock)[:20]}
            )
    if span[0] == span[1]:
        raise ValidationError(_("Opening and closing are the same time."))
    return [span[0], span[1]]


def _one_of(given: Any, allowed: Sequence[str]) -> str:
    if given not in allowed:
        raise ValidationError(
            _("%(given)s is not one of %(allowed)s.")
            % {"given": str(given)[:40], "allowed": ", ".join(allowed)}
        )
    return str(given)
