"""Model cards as HTML."""

from __future__ import annotations

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

# HTML in the source stays text, and links take no scheme that runs anything.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def card_html(markdown: str) -> SafeString:
    """The card as HTML, its headings below those of the page; the title, which the page has already, is left out."""
    tokens = _MARKDOWN.parse(markdown)
    if tokens and tokens[0].tag == "h1":
        tokens = tokens[3:]
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        elif token.type == "table_open":
            token.attrSet("class", "table")
        elif token.type in {"th_open", "td_open"} and "style" in token.attrs:
            # The page's policy forbids inline styles; the only aligned columns of a card are numbers.
            del token.attrs["style"]
            token.attrSet("class", "num")
    html: str = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return mark_safe(html)  # noqa: S308 - escaped by markdown-it
