"""What the components put on the page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django import forms
from django.template import Context, Template
from django.test import RequestFactory


def _render(source: str, **context: Any) -> str:
    return Template("{% load ui %}" + source).render(Context(context))


def test_text_of_others_never_becomes_markup() -> None:
    evil = "<img src=x>"
    sources = [
        "{% badge x %}",
        "{% status x %}",
        "{% sentiment x 0.5 %}",
        "{% icon x label=x %}",
        "{% number x x unit=x range=x %}",
        "{% panel x subtitle=x id=x %}{{ x }}{% endpanel %}",
        "{% dialog x x %}{{ x }}{% enddialog %}",
        "{% empty x %}{{ x }}{% endempty %}",
        "{% notice 'warn' %}{{ x }}{% endnotice %}",
        "{% progress 0.5 x %}",
        "{% sparkline v x %}",
        "{% chart_frame x x %}",
        '{% include "components/copy.html" with text=x label=x %}',
    ]
    for source in sources:
        html = _render(source, x=evil, v=[1, 2, 3])
        assert "<img" not in html, source
        assert "&lt;img" in html, source


@pytest.mark.parametrize(
    ("value", "rise_is", "parts"),
    [
        (0.124, "good", ['data-direction="up"', 'data-good="yes"', "+12"]),
        (0.31, "bad", ['data-direction="up"', 'data-good="no"', "+31"]),
        (-0.18, "bad", ['data-direction="down"', 'data-good="yes"', "−18"]),
        (-0.18, "neutral", ['data-direction="down"', 'data-good=""']),
        (0.001, "good", ['data-direction="flat"', 'data-good=""']),
    ],
)
def test_a_change_says_direction_and_whether_it_is_good(
    value: float, rise_is: str, parts: list[str]
) -> None:
    html = _render("{% change v r %}", v=value, r=rise_is)
    assert all(part in html for part in parts), html


def test_numbers_are_grouped_and_nothing_is_a_dash() -> None:
    assert _render("{{ a|grouped }} {{ b|grouped }} {{ c|grouped }} {{ d|percent }}",
                   a=1234567, b=0.42, c=None, d=0.873) == "1,234,567 0.42 — 87\u202f%"  # fmt: skip


def test_a_moment_is_machine_readable() -> None:
    html = _render("{% moment at %}", at=datetime(2026, 3, 1, 8, 30, tzinfo=UTC))
    assert 'datetime="2026-03-01T08:30:00+00:00"' in html
    assert "2026-03-01 08:30:00 UTC" in html
    assert "never" in _render('{% moment at "never" %}', at=None)


def test_a_column_sorts_and_sorts_back() -> None:
    def head(query: str) -> str:
        return _render('{% sort_header "at" "Time" %}', request=RequestFactory().get(f"/?{query}"))

    assert 'href="?q=x&amp;sort=at"' in head("q=x&cursor=abc")
    assert 'aria-sort="ascending"' in head("sort=at")
    assert 'href="?sort=-at"' in head("sort=at")
    assert 'aria-sort="descending"' in head("sort=-at")


class _Form(forms.Form):
    email = forms.EmailField(help_text="Work address.")
    scopes = forms.MultipleChoiceField(
        choices=[("a", "A")], widget=forms.CheckboxSelectMultiple, required=False
    )
    agree = forms.BooleanField()


def test_a_field_is_labelled_described_and_says_what_is_wrong() -> None:
    html = str(_Form({"email": "x"}))
    assert '<label for="id_email">Email' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_email_helptext"' in html
    assert 'id="id_email_error"' in html
    assert "id_email_helptext id_email_error" in html
    assert "<legend>Scopes</legend>" in html
    assert html.index('type="checkbox" name="agree"') < html.index('for="id_agree"')


def test_the_error_pages_say_what_to_do() -> None:
    from rootstock.web import views

    response = views.server_error(RequestFactory().get("/"))
    assert response.status_code == 500
    assert b"Something broke on our side" in response.content
