"""Texts of the interface: found in the code, merged with their Chinese, compiled. Pure Python.

Two catalogues, as Django keeps them: `django` for Python and templates, `djangojs` for TypeScript. A text marked with
`gettext_noop` is stored as it is (the phase of a job, say) and translated by whoever shows it, so it is in both.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

LOCALE = "zh_Hans"
DOMAINS = ("django", "djangojs")
_KEYWORDS: dict[str, None] = dict.fromkeys(
    [
        "_",
        "gettext",
        "gettext_lazy",
        "gettext_noop",
        "ngettext",
        "ngettext_lazy",
        "pgettext",
        "pgettext_lazy",
        "npgettext",
        "npgettext_lazy",
    ]
)
# ml_core knows no interface: what an option of training does is the first argument of `option`.
_OPTIONS = ("ml_core", "training", "options")
_OPTION_KEYWORDS: dict[str, None] = {"option": None}
_T = re.compile(r'(?<![\w.])t\(\s*("(?:[^"\\\n]|\\.)*")')
_TN = re.compile(r'(?<![\w.])tn\(\s*("(?:[^"\\\n]|\\.)*")\s*,\s*("(?:[^"\\\n]|\\.)*")')
_COMMENT = re.compile(r"^\s*(?://|\*|/\*).*$", re.MULTILINE)
_FIELDS = re.compile(r"%\(\w+\)[sd]|\{\w+\}")

MessageId = str | tuple[str, str]


@dataclass
class Text:
    """One text of the interface. `id` is a pair where there is a plural."""

    id: MessageId
    context: str | None = None
    domains: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)

    @property
    def key(self) -> tuple[str, str]:
        """What gettext looks it up by."""
        return (self.context or "", self.id if isinstance(self.id, str) else self.id[0])


class Texts:
    """All texts by their key."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, str], Text] = {}

    def add(self, message_id: MessageId, context: str | None, domain: str, place: str) -> None:
        """Remember that a text is used at a place."""
        if not (message_id if isinstance(message_id, str) else message_id[0]).strip():
            return
        text = Text(message_id, context)
        known = self.by_key.setdefault(text.key, text)
        if isinstance(known.id, str) and not isinstance(message_id, str):
            known.id = message_id
        known.domains.add(domain)
        known.places.add(place)


def _sources(root: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    for folder in (
        root / "platform" / "rootstock",
        root / "platform" / "frontend" / "src",
        root / "apps",
    ):
        for path in sorted(folder.rglob("*")):
            if path.suffix in endings and not {"node_modules", "dist", "migrations"} & set(
                path.parts
            ):
                yield path


def extract(root: Path) -> Texts:
    """Every text in the Python, the templates and the TypeScript below `root`, and what options of training do."""
    texts = Texts()
    for path in _sources(root, (".py", ".html", ".txt", ".ts")):
        place = path.relative_to(root).as_posix()
        source = path.read_text(encoding="utf-8")
        if path.suffix == ".ts":
            _from_typescript(texts, source, place)
        else:
            if path.suffix != ".py":
                if "{%" not in source and "{{" not in source:
                    continue
                # What is not a tag becomes X; indentation would only confuse the tokenizer.
                lines = templatize(source, origin=place).splitlines()
                source = "\n".join(line.strip() for line in lines)
            _from_python(texts, source, place)
    for path in sorted(root.joinpath(*_OPTIONS).glob("*.py")):
        place = path.relative_to(root).as_posix()
        _from_python(texts, path.read_text(encoding="utf-8"), place, _OPTION_KEYWORDS)
    return texts


def _from_python(
    texts: Texts, source: str, place: str, keywords: dict[str, None] = _KEYWORDS
) -> None:
    stream = io.BytesIO(source.encode())
    for _, name, found, _ in extract_python(stream, keywords, [], {"encoding": "utf-8"}):
        function = str(name)
        given = list(found) if isinstance(found, tuple | list) else [found]
        context = None
        if "pgettext" in function:
            context, given = given[0], given[1:]
        count = 2 if function.startswith("n") else 1
        ids = given[:count]
        if len(ids) < count or not all(isinstance(i, str) for i in ids):
            continue  # computed: whoever computes it marks the parts
        message_id: MessageId = ids[0] if count == 1 else (ids[0], ids[1])
        texts.add(message_id, context, "django", place)
        if function == "gettext_noop":
            texts.add(message_id, context, "djangojs", place)


def _from_typescript(texts: Texts, source: str, place: str) -> None:
    source = _COMMENT.sub("", source)
    for match in _T.finditer(source):
        texts.add(json.loads(match[1]), None, "djangojs", place)
    for match in _TN.finditer(source):
        texts.add((json.loads(match[1]), json.loads(match[2])), None, "djangojs", place)


def _folder() -> Path:
    return Path(settings.LOCALE_PATHS[0])


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=LOCALE, abort_invalid=True)


def translated() -> dict[tuple[str, str], str]:
    """The Chinese of every key: the catalogues, then the parts that were written beside them."""
    found: dict[tuple[str, str], str] = {}
    catalogues = [_folder() / LOCALE / "LC_MESSAGES" / f"{domain}.po" for domain in DOMAINS]
    for path in [*catalogues, *sorted((_folder() / "parts").glob("*.po"))]:
        if not path.exists():
            continue
        for message in _read(path):
            # a list where there is a plural; Chinese has one form
            forms = [message.string] if isinstance(message.string, str) else message.string
            string = forms[0] if forms else ""
            if message.id and string:
                first = message.id if isinstance(message.id, str) else message.id[0]
                found[(message.context or "", first)] = string
    return found


def build(texts: Texts, chinese: dict[tuple[str, str], str], domain: str) -> Catalog:
    """The catalogue of one domain: the texts that the code has, in a stable order."""
    catalogue = Catalog(
        locale=LOCALE,
        domain=domain,
        project="Rootstock",
        version="1",
        header_comment="",
        fuzzy=False,
    )
    for key in sorted(texts.by_key, key=lambda key: (key[1].casefold(), key)):
        text = texts.by_key[key]
        if domain not in text.domains:
            continue
        string = chinese.get(key, "")
        catalogue.add(
            text.id,
            string=string if isinstance(text.id, str) else (string,),
            locations=[(place, 0) for place in sorted(text.places)],
            context=text.context,
        )
    return catalogue


def problems(texts: Texts, chinese: dict[tuple[str, str], str]) -> list[str]:
    """One line for each text without Chinese or whose Chinese has other placeholders."""
    lines = []
    for key, text in sorted(texts.by_key.items()):
        where = ", ".join(sorted(text.places)[:2])
        string = chinese.get(key, "")
        if not string:
            lines.append(f"no Chinese: {key[1]!r} ({where})")
            continue
        ids = [text.id] if isinstance(text.id, str) else list(text.id)
        if not any(_placeholders([string]) == _placeholders([one]) for one in ids):
            lines.append(f"other placeholders: {key[1]!r} → {string!r} ({where})")
    return lines


def _placeholders(strings: Iterable[str]) -> set[str]:
    return {name for string in strings for name in _FIELDS.findall(string)}


def write_catalogues(texts: Texts, chinese: dict[tuple[str, str], str]) -> list[Path]:
    """Write `django.po` and `djangojs.po`: what the code has, in order, with what is translated."""
    folder = _folder() / LOCALE / "LC_MESSAGES"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for domain in DOMAINS:
        buffer = io.BytesIO()
        write_po(
            buffer, build(texts, chinese, domain), width=100, include_lineno=False, omit_header=True
        )
        path = folder / f"{domain}.po"
        path.write_bytes(_HEADER + buffer.getvalue())
        written.append(path)
    return written


# Without dates and tool versions, which would change at every run.
_HEADER = b"""msgid ""
msgstr ""
"Project-Id-Version: Rootstock\\n"
"Language: zh_Hans\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""


def compile_catalogues(texts: Texts, chinese: dict[tuple[str, str], str]) -> list[Path]:
    """Write the `.mo` files that the running program reads."""
    folder = _folder() / LOCALE / "LC_MESSAGES"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for domain in DOMAINS:
        buffer = io.BytesIO()
        write_mo(buffer, build(texts, chinese, domain))
        path = folder / f"{domain}.mo"
        if not path.exists() or path.read_bytes() != buffer.getvalue():
            path.with_suffix(".new").write_bytes(buffer.getvalue())
            path.with_suffix(".new").replace(path)
        written.append(path)
    return written
