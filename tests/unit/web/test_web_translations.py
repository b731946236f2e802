"""Every text of the interface is found, and has its Chinese."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext, ngettext

from rootstock.web import translations
from rootstock.web.translations import Texts, extract, problems

ROOT = Path(settings.ROOT)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with one text of each kind."""
    files = {
        "apps/a/views.py": (
            "from django.utils.translation import gettext as _, ngettext, pgettext, gettext_noop\n"
            "_('plain'); ngettext('%(n)s bird', '%(n)s birds', 2); pgettext('alert', 'Open')\n"
            "gettext_noop('train'); _(name)\n"
        ),
        "apps/a/templates/a.html": (
            "<p>\n      {% translate 'single' %} it's {% translate \"double\" as x %}\n"
            "  {% blocktranslate trimmed count n=n %}\n one thing\n {% plural %}\n {{ n }} things\n"
            "  {% endblocktranslate %}</p>"
        ),
        "platform/frontend/src/x.ts": (
            '// t("a comment")\n t("Hello {name}", { name }); tn("{count} cat", "{count} cats", n);\n'
            ' set("not this"); t("with \\"quotes\\""); format.t("nor this");'
        ),
        "ml_core/training/options/a.py": (
            'a: int = option("What it does, "\n    "in two lines.", default=1)\n'
        ),
        "ml_core/training/other.py": 'gettext("nothing is read here")\n',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "platform/rootstock").mkdir(parents=True)
    return tmp_path


def test_texts_are_found_in_python_templates_typescript_and_options(project: Path) -> None:
    texts = extract(project)
    found = {(context, text): found.id for (context, text), found in texts.by_key.items()}
    assert found == {
        ("", "plain"): "plain",
        ("", "%(n)s bird"): ("%(n)s bird", "%(n)s birds"),
        ("alert", "Open"): "Open",
        ("", "train"): "train",
        ("", "single"): "single",
        ("", "double"): "double",
        ("", "one thing"): ("one thing", "%(n)s things"),
        ("", "Hello {name}"): "Hello {name}",
        ("", "{count} cat"): ("{count} cat", "{count} cats"),
        ("", 'with "quotes"'): 'with "quotes"',
        ("", "What it does, in two lines."): "What it does, in two lines.",
    }
    assert texts.by_key[("", "train")].domains == {"django", "djangojs"}
    assert texts.by_key[("", "Hello {name}")].domains == {"djangojs"}


def test_a_missing_text_and_a_lost_placeholder_are_named(project: Path) -> None:
    texts = Texts()
    texts.add("Hello {name}", None, "djangojs", "x.ts")
    texts.add("Never", None, "django", "a.py")
    lines = problems(texts, {("", "Hello {name}"): "你好"})
    assert [line.split(":")[0] for line in lines] == ["other placeholders", "no Chinese"]


def test_compiled_catalogues_are_what_django_reads(
    project: Path, tmp_path: Path, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    locale = tmp_path / "locale"
    (locale / "parts").mkdir(parents=True)
    (locale / "parts" / "a.po").write_text(
        'msgid "plain"\nmsgstr "朴素"\n\nmsgctxt "alert"\nmsgid "Open"\nmsgstr "未处理"\n\n'
        'msgid "%(n)s bird"\nmsgid_plural "%(n)s birds"\nmsgstr[0] "%(n)s 只鸟"\n',
        encoding="utf-8",
    )
    settings.LOCALE_PATHS = [locale]  # type: ignore[attr-defined]
    texts, chinese = extract(project), translations.translated()
    translations.write_catalogues(texts, chinese)
    first = (locale / "zh_Hans/LC_MESSAGES/django.po").read_bytes()
    translations.write_catalogues(texts, translations.translated())
    assert (locale / "zh_Hans/LC_MESSAGES/django.po").read_bytes() == first, "not stable"
    translations.compile_catalogues(texts, translations.translated())
    from django.utils.translation import trans_real

    monkeypatch.setattr(trans_real, "_translations", {})
    with translation.override("zh-hans"):
        assert gettext("plain") == "朴素"
        assert translation.pgettext("alert", "Open") == "未处理"
        assert ngettext("%(n)s bird", "%(n)s birds", 2) % {"n": 2} == "2 只鸟"


def test_every_text_has_its_chinese() -> None:
    assert problems(extract(ROOT), translations.translated()) == []


def test_the_catalogues_in_the_repository_are_current() -> None:
    """`manage.py messages` was run after the last change of a text."""
    folder = Path(settings.LOCALE_PATHS[0]) / "zh_Hans" / "LC_MESSAGES"
    texts = extract(ROOT)
    for domain in translations.DOMAINS:
        path = folder / f"{domain}.po"
        kept = {
            (message.context or "", message.id if isinstance(message.id, str) else message.id[0])
            for message in translations._read(path)
            if message.id
        }
        wanted = {key for key, text in texts.by_key.items() if domain in text.domains}
        assert kept == wanted, f"run `manage.py messages`: {path.name} is not current"


def test_compiling_needs_no_gettext_and_no_database() -> None:
    outcome = subprocess.run(
        [sys.executable, "manage.py", "messages", "--compile"],
        cwd=ROOT,
        env={"PATH": "", "HOME": "/nonexistent", "ROOTSTOCK_SECRET_KEY": "x" * 50,
             "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert "django.mo" in outcome.stdout
