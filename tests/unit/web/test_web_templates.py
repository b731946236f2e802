"""Rules that hold for every template: nothing the policy forbids, no untranslated text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

ROOT = Path(settings.ROOT)
TEMPLATES = sorted(
    path
    for folder in (ROOT / "platform" / "rootstock", ROOT / "apps")
    for path in folder.glob("*/templates/**/*.html")
)
# The name, languages in their own words, formats, units.
UNTRANSLATED = {
    "Rootstock",
    "English",
    "简体中文",
    "中文",
    "CSV",
    "JSON",
    "JSONL",
    "API",
    "OpenAPI",
}
UNTRANSLATED |= {"F1", "s", "ms", "kB", "MB", "GB", "p", "px"}
UNTRANSLATED |= {"AUROC", "BM25", "chrF", "nDCG", "MRR", "MASE", "α", "TensorBoard"}
# Sent by mail as well, where no style sheet can be linked; the page links one.
MAILED = {"finance_sentiment/reports/document.html"}
WORD = re.compile(r"[^\W\d_]\w*")
CODE = ("code", "kbd", "pre")
TAG = re.compile(r"{%\s*comment\s*%}.*?{%\s*endcomment\s*%}|{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)
BLOCK = re.compile(r"{%\s*blocktranslate.*?endblocktranslate\s*%}", re.DOTALL)


class Page(HTMLParser):
    """Collects texts and what the policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.forbidden: list[str] = []
        self.raw = ""
        self.code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.code += tag in CODE
        if tag in ("script", "style"):
            self.raw = tag
            if tag == "style" or (tag == "script" and "src" not in names):
                self.forbidden.append(f"<{tag}> with content")
        for name in names:
            if name == "style" or name.startswith(("on", "hx-on")):
                self.forbidden.append(f"{name}= on <{tag}>")
        for name in ("aria-label", "placeholder", "title", "alt"):
            if names.get(name):
                self.texts.append(str(names[name]))

    def handle_endtag(self, tag: str) -> None:
        self.code -= tag in CODE
        if tag == self.raw:
            self.raw = ""

    def handle_data(self, data: str) -> None:
        if not self.raw and not self.code:
            self.texts.append(data)


def _page(path: Path) -> Page:
    page = Page()
    source = BLOCK.sub(" ", path.read_text(encoding="utf-8"))
    page.feed(TAG.sub(" ", source))
    return page


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", TEMPLATES, ids=_name)
def test_template_compiles_and_obeys_the_policy(path: Path) -> None:
    name = path.as_posix().split("/templates/", 1)[1]
    get_template(name)
    allowed = ["<style> with content"] if name in MAILED else []
    assert _page(path).forbidden == allowed


@pytest.mark.parametrize("path", TEMPLATES, ids=_name)
def test_every_text_is_marked_for_translation(path: Path) -> None:
    plain = [text for text in _page(path).texts if set(WORD.findall(text)) - UNTRANSLATED]
    assert plain == []
