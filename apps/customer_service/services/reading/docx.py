"""DOCX: headings, paragraphs, lists and tables of a Word document's body."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
import lxml.etree
from django.utils.translation import gettext_noop
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph

from apps.customer_service.services.reading.archives import archive_check
from apps.customer_service.services.reading.document import MAX_ROWS, Reading, Unreadable, table

_HEADING = re.compile(r"(?:heading|标题)\s*([1-9])$", re.I)
_TEXT, _TAB, _BREAK = qn("w:t"), qn("w:tab"), (qn("w:br"), qn("w:cr"))
# Word writes a drawing twice, once for older programs; footnotes' marks and deleted text are no text.
_LEFT_OUT = {
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    qn("w:del"),
    qn("w:tbl"),
}
_DAMAGED = gettext_noop("The file is damaged. Open it in Word and save it anew.")


def read_docx(reading: Reading, data: bytes, content_type: str) -> None:
    """The body of a Word document; headers, footers, notes and comments are left out.

    Raises:
        Unreadable: it is damaged, or unpacks to too much.
    """
    archive_check(data)
    try:
        document = docx.Document(io.BytesIO(data))
        reading.title = (document.core_properties.title or "").strip()[:300]
        _read(reading, document)
    except (
        PackageNotFoundError,
        zipfile.BadZipFile,
        lxml.etree.XMLSyntaxError,
        KeyError,
        ValueError,
        AttributeError,
        TypeError,
        IndexError,
        RecursionError,
    ) as error:
        raise Unreadable(_DAMAGED) from error


def _read(reading: Reading, document: Any) -> None:
    items: list[str] = []
    for element in document.iter_inner_content():
        if isinstance(element, Table):
            _flush(reading, items)
            reading.add("table", table(_rows(element)))
            continue
        text = _text(element._p)
        if not text.strip():
            continue
        style = _style(element)
        heading = _HEADING.search(style)
        if _is_item(element, style) and not heading:
            items.append(f"{'  ' * _depth(element)}- {text.strip()}")
            continue
        _flush(reading, items)
        if style in {"Title", "标题"}:
            reading.title = reading.title or text.strip()[:300]
            reading.add("heading", text, level=1)
        elif heading:
            reading.add("heading", text, level=int(heading.group(1)))
        else:
            reading.add("prose", text)
    _flush(reading, items)


def _flush(reading: Reading, items: list[str]) -> None:
    reading.add("list", "\n".join(items))
    items.clear()


def _style(paragraph: Paragraph) -> str:
    style = paragraph.style
    return (style.name or "") if style is not None else ""


def _is_item(paragraph: Paragraph, style: str) -> bool:
    properties = paragraph._p.pPr
    return style.startswith("List") or (properties is not None and properties.numPr is not None)


def _depth(paragraph: Paragraph) -> int:
    properties = paragraph._p.pPr
    numbering: Any = properties.numPr if properties is not None else None
    level = numbering.ilvl if numbering is not None else None
    return min(8, int(level.val)) if level is not None else 0


def _rows(element: Table) -> list[list[str]]:
    """Each cell once, however many columns it spans; python-docx repeats it."""
    return [
        [" ".join(_pieces(cell)) for cell in row.tc_lst] for row in element._tbl.tr_lst[:MAX_ROWS]
    ]


def _pieces(cell: Any) -> Iterator[str]:
    """Paragraphs of a cell and of the tables in it."""
    for paragraph in cell.iter(qn("w:p")):
        text = _text(paragraph).strip()
        if text:
            yield text


def _text(paragraph: Any) -> str:
    parts: list[str] = []
    skipped = None
    for event, node in lxml.etree.iterwalk(paragraph, events=("start", "end")):
        if skipped is not None:
            skipped = None if event == "end" and node is skipped else skipped
        elif event == "start":
            if node.tag in _LEFT_OUT:
                skipped = node
            elif node.tag == _TEXT:
                parts.append(node.text or "")
            elif node.tag == _TAB:
                parts.append(" ")
            elif node.tag in _BREAK:
                parts.append("\n")
    return "".join(parts)
