"""PDF: lines with their place and size, made into headings, paragraphs, lists and tables again."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pypdfium2
import pypdfium2.raw as pdfium
from django.utils.translation import gettext_noop

from apps.customer_service.services.reading.document import MAX_PAGES, Reading, Unreadable, table
from apps.customer_service.services.reading.plain import joined

# In heights of a line: what is wider is the gap between two cells, what is larger than the body a heading.
_CELL_GAP = 1.6
_WORD_GAP = 0.2
_HEADING_SIZE = 1.15
_PARAGRAPH_GAP = 1.0
_LONGEST_HEADING = 160
_MAX_PAGE_CHARACTERS = 100_000
_ITEM = re.compile(
    r"([-–*•·●▪◦\uf0b7]|\(?\d{1,3}[.)、](?!\d)|[(（][一二三四五六七八九十a-z\d]{1,3}[)）])\s*\S"
)
_STOP = tuple(".。!！?？:：;；")
_DIGITS = re.compile(r"\d+")
_NOTED_PAGES = 10


@dataclass(slots=True)
class _Segment:
    """Characters of a line without a wide gap between them."""

    text: str
    left: float
    right: float


@dataclass(slots=True)
class _Line:
    """A line on a page, in points from the lower left corner."""

    page: int
    size: float
    top: float
    bottom: float
    segments: list[_Segment] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)

    @property
    def left(self) -> float:
        return self.segments[0].left

    @property
    def right(self) -> float:
        return self.segments[-1].right


def read_pdf(reading: Reading, data: bytes, content_type: str) -> None:
    """Text of a PDF with its page numbers.

    Raises:
        Unreadable: it is damaged, needs a password, or its pages are pictures.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "assword" in str(error):
            raise Unreadable(
                gettext_noop("The file is protected by a password. Save it without one.")
            ) from error
        raise Unreadable(
            gettext_noop("The file is damaged. Open it in a PDF viewer and save it anew.")
        ) from error
    reading.pages = len(document)
    lines: list[list[_Line]] = []
    broken: list[int] = []
    for number in range(min(len(document), MAX_PAGES)):
        try:
            lines.append(_lines(document, number))
        except pypdfium2.PdfiumError:
            lines.append([])
            broken.append(number + 1)
    _note_pages(reading, lines, broken)
    if not any(lines):
        raise Unreadable(
            gettext_noop(
                "The pages are pictures without text, as of a scanner. Run text recognition (OCR) on the file first."
            )
            if reading.pages
            else gettext_noop("There is nothing in it.")
        )
    title = document.get_metadata_dict().get("Title", "")
    reading.title = " ".join(title.split())[:300]
    _without_margins(lines)
    _blocks(reading, [line for page in lines for line in page])


def _note_pages(reading: Reading, lines: list[list[_Line]], broken: list[int]) -> None:
    if reading.pages > MAX_PAGES:
        reading.note(
            gettext_noop("Only the first %(most)s pages were read."), most=f"{MAX_PAGES:,}"
        )
    if broken:
        reading.note(gettext_noop("Damaged pages were left out: %(pages)s."), pages=_listed(broken))
    empty = [number for number, page in enumerate(lines, 1) if not page and number not in broken]
    if empty and any(lines):
        reading.note(
            gettext_noop("Pages without text (pictures, or empty): %(pages)s."),
            pages=_listed(empty),
        )


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:_NOTED_PAGES])) + (
        "…" if len(numbers) > _NOTED_PAGES else ""
    )


def _lines(document: pypdfium2.PdfDocument, number: int) -> list[_Line]:
    """Lines of a page in the order in which they are written."""
    page = document[number]
    text = page.get_textpage()
    try:
        return list(_grouped(text.raw, min(text.count_chars(), _MAX_PAGE_CHARACTERS), number + 1))
    finally:
        text.close()
        page.close()


def _grouped(text: object, count: int, page: int) -> Iterator[_Line]:
    """Characters become lines: pdfium marks where one ends, and gaps tell words and cells apart."""
    box = pdfium.FS_RECTF()
    line: _Line | None = None
    size = 0.0
    for index in range(count):
        code = pdfium.FPDFText_GetUnicode(text, index)
        letter = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ""
        if letter in "\r\n" or not letter:
            if letter and line is not None:
                yield from _finished(line)
                line = None
            continue
        if not pdfium.FPDFText_GetLooseCharBox(text, index, ctypes.byref(box)):
            continue
        if letter in "\u0002\ufffe":  # a hyphen at the end of a line, as pdfium marks it
            letter = "-"
        if line is None or not line.segments or letter.isspace():
            size = _size(text, index)
        if line is not None and _apart(line, box, size):
            yield from _finished(line)
            line = None
        if line is None:
            line = _Line(page, 0.0, box.top, box.bottom)
        _put(line, letter, box, size)
    if line is not None:
        yield from _finished(line)


def _size(text: object, index: int) -> float:
    """The size of a character's font on the page: boxes of fonts differ in what they leave above and below."""
    matrix = pdfium.FS_MATRIX()
    scale = 1.0
    if pdfium.FPDFText_GetMatrix(text, index, ctypes.byref(matrix)):
        scale = (matrix.c**2 + matrix.d**2) ** 0.5
    return float(pdfium.FPDFText_GetFontSize(text, index)) * (scale or 1.0)


def _apart(line: _Line, box: pdfium.FS_RECTF, size: float) -> bool:
    """Whether a character is on another line, or left of what is already there (another column)."""
    height = max(line.size, size, 1.0)
    middle = (box.top + box.bottom) / 2
    return bool(line.segments) and (
        not line.bottom - 0.5 * height < middle < line.top + 0.5 * height
        or box.right < line.segments[-1].left - height
    )


def _put(line: _Line, letter: str, box: pdfium.FS_RECTF, size: float) -> None:
    if letter.isspace():
        if line.segments and not line.segments[-1].text.endswith(" "):
            line.segments[-1].text += " "
        return
    height = max(size, 1.0)
    gap = box.left - line.segments[-1].right if line.segments else 0.0
    if not line.segments or gap > _CELL_GAP * height:
        line.segments.append(_Segment(letter, box.left, box.right))
    else:
        last = line.segments[-1]
        wide = gap > _WORD_GAP * height and not last.text.endswith(" ") and letter.isascii()
        last.text += f" {letter}" if wide else letter
        last.right = max(last.right, box.right)
    line.size = max(line.size, size)
    line.top, line.bottom = max(line.top, box.top), min(line.bottom, box.bottom)


def _finished(line: _Line) -> Iterator[_Line]:
    for segment in line.segments:
        segment.text = segment.text.strip()
    line.segments = [segment for segment in line.segments if segment.text]
    if line.segments:
        yield line


def _without_margins(pages: list[list[_Line]]) -> None:
    """Take away what stands at the top or bottom of most pages: running titles and page numbers."""
    if len(pages) < 3:
        return
    places = (0, 1, -1, -2)

    def key(line: _Line) -> str:
        return _DIGITS.sub("#", line.text)

    seen: Counter[str] = Counter()
    for page in pages:
        seen.update(
            {
                key(page[place])
                for place in places
                if len(page) > 2 and -len(page) <= place < len(page)
            }
        )
    often = {text for text, times in seen.items() if times >= max(3, 0.6 * sum(map(bool, pages)))}
    for page in pages:
        margins = {id(page[place]) for place in places if -len(page) <= place < len(page)}
        page[:] = [line for line in page if id(line) not in margins or key(line) not in often]


def _blocks(reading: Reading, lines: list[_Line]) -> None:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[round(line.size * 2) / 2] += len(line.text)
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    larger = sorted({size for size in sizes if size >= _HEADING_SIZE * body}, reverse=True)
    levels = {size: min(place, 6) for place, size in enumerate(larger, 1)}
    place = 0
    while place < len(lines):
        line = lines[place]
        level = levels.get(round(line.size * 2) / 2, 0)
        if level and len(line.text) <= _LONGEST_HEADING:
            place = _heading(reading, lines, place, level)
        elif (end := _table_end(lines, place)) - place >= 2:
            reading.add("table", table(_rows(lines[place:end])), page=line.page)
            place = end
        else:
            place = _paragraph(reading, lines, place, levels)


def _heading(reading: Reading, lines: list[_Line], place: int, level: int) -> int:
    """A heading and the lines in which it goes on."""
    first, end = lines[place], place + 1
    while end < len(lines) and end - place < 3 and abs(lines[end].size - first.size) < 0.5:
        if (
            lines[end].page != first.page
            or lines[end - 1].bottom - lines[end].top > 0.6 * first.size
        ):
            break
        end += 1
    reading.add(
        "heading", joined([line.text for line in lines[place:end]]), level=level, page=first.page
    )
    return end


def _table_end(lines: list[_Line], place: int) -> int:
    """Behind the last of the lines from `place` on that have cells at the same places."""
    columns = [segment.left for segment in lines[place].segments]
    if len(columns) < 2:
        return place
    end = place + 1
    while end < len(lines) and lines[end].page == lines[place].page:
        line = lines[end]
        fitting = sum(
            _column(columns, segment.left, line.size) is not None for segment in line.segments
        )
        gap = lines[end - 1].bottom - line.top
        many = len(line.segments) >= 2 and fitting * 2 >= len(line.segments)
        goes_on = len(line.segments) == 1 and fitting == 1 and gap < 0.8 * line.size
        if gap > 4 * line.size or not (
            many or (goes_on and _column(columns, line.left, line.size) != 0)
        ):
            break
        if len(line.segments) > len(columns):
            columns = [segment.left for segment in line.segments]
        end += 1
    return end


def _column(columns: list[float], left: float, size: float) -> int | None:
    nearest = min(range(len(columns)), key=lambda index: abs(columns[index] - left))
    return nearest if abs(columns[nearest] - left) < 2.5 * max(size, 1.0) else None


def _rows(lines: list[_Line]) -> list[list[str]]:
    widest = max(lines, key=lambda line: len(line.segments))
    columns = [segment.left for segment in widest.segments]
    rows: list[list[str]] = []
    for line in lines:
        if len(line.segments) == 1 and rows:
            place = _column(columns, line.left, line.size) or 0
            rows[-1][place] = joined([rows[-1][place], line.text])
            continue
        row = [""] * len(columns)
        for segment in line.segments:
            place = min(range(len(columns)), key=lambda index: abs(columns[index] - segment.left))
            row[place] = f"{row[place]} {segment.text}".strip()
        rows.append(row)
    return rows


def _paragraph(reading: Reading, lines: list[_Line], place: int, levels: dict[float, int]) -> int:
    """The lines from `place` on that read as one: until a gap, an item, another size, or a short last line."""
    first, end = lines[place], place + 1
    is_list = bool(_ITEM.match(first.text))
    right = max(
        line.right for line in lines[max(0, place - 20) : place + 20] if line.page == first.page
    )
    while end < len(lines):
        line, before = lines[end], lines[end - 1]
        if abs(line.size - first.size) > 0.15 * first.size or round(line.size * 2) / 2 in levels:
            break
        starts = bool(_ITEM.match(line.text))
        if line.page != before.page:
            if starts or before.text.endswith(_STOP):
                break
        elif before.bottom - line.top > _PARAGRAPH_GAP * first.size:
            break
        short = before.right < right - 6 * first.size and before.text.endswith(_STOP)
        if (starts and not is_list) or (not is_list and short) or _table_end(lines, end) - end >= 2:
            break
        end += 1
    if is_list:
        items: list[str] = []
        for line in lines[place:end]:
            if _ITEM.match(line.text) or not items:
                items.append(line.text)
            else:
                items[-1] = joined([items[-1], line.text])
        reading.add("list", "\n".join(items), page=first.page)
    else:
        reading.add("prose", joined([line.text for line in lines[place:end]]), page=first.page)
    return end
