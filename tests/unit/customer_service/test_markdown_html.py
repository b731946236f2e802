"""Nothing that somebody writes becomes a script, an image or a link to elsewhere on our pages."""

from __future__ import annotations

import pytest

from apps.customer_service.services.markdown import markdown_html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](vbscript:x)",
        "[x](//evil.example)",
        "<javascript:alert(1)>",
        "![x](https://evil.example/pixel.png)",
        '[x](https://a.example "onmouseover=alert(1)")',
        "[x](&#106;avascript:alert(1))",
        "[a]: javascript:alert(1)\n\n[a]",
        "`<script>`",
        "```html\n<script>alert(1)</script>\n```",
        "</div><svg onload=alert(1)>",
    ],
)
def test_attacks_stay_text(text: str) -> None:
    html = markdown_html(text)
    for wrong in ("<script", "<img", "<svg", "</div", 'href="j', 'href="d', 'href="v', 'href="//'):
        assert wrong not in html.lower()
    assert "<iframe" not in html


def test_what_messages_may_have() -> None:
    html = markdown_html(
        "**Bold** and *soft*\nnew line\n\n- one\n- two\n\n[us](https://a.example/?a=1&b=2)"
    )
    assert "<strong>Bold</strong>" in html
    assert "<br" in html
    assert "<li>one</li>" in html
    assert 'href="https://a.example/?a=1&amp;b=2"' in html
    assert 'rel="noopener noreferrer nofollow ugc"' in html
    assert 'target="_blank"' in html
    assert "# no heading" in markdown_html("# no heading")
    assert 'href="mailto:a@b.example"' in markdown_html("<a@b.example>")
