"""Messages as HTML: the one place where text of visitors and models becomes markup on our pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

_SCHEMES = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
# No HTML, no images (they would tell who reads), no headings (they would be taken for ours).
_RULES = [
    "autolink",
    "backticks",
    "blockquote",
    "emphasis",
    "entity",
    "escape",
    "fence",
    "link",
    "list",
    "newline",
    "strikethrough",
]


def markdown_html(text: str) -> SafeString:
    """The subset of Markdown that messages may have, as HTML; everything else is shown as it was written.

    Links go to http, https and mailto only, open a page of their own and tell it nothing of ours.
    """
    html: str = _parser.render(text)
    return SafeString(html)  # made by a renderer that escapes all text


def _link_open(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow ugc")
    tokens[index].attrSet("target", "_blank")
    return self.renderToken(tokens, index, options, env)


def _make() -> MarkdownIt:
    parser = MarkdownIt("zero", {"html": False, "breaks": True, "maxNesting": 20}).enable(_RULES)
    parser.validateLink = lambda url: bool(_SCHEMES.match(url.strip()))  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _link_open)
    return parser


_parser = _make()
