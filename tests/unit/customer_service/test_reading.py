"""What the readers make of files: good ones, damaged ones and those made to do harm."""

from __future__ import annotations

import sys
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.customer_service.services.reading import archives, document
from apps.customer_service.services.reading.document import Reading, Unreadable
from apps.customer_service.services.reading.kinds import read
from apps.customer_service.services.reading.process import file_read

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_files as files


def blocks(data: bytes | str, name: str, content_type: str = "") -> list[tuple[str, str]]:
    data = data.encode() if isinstance(data, str) else data
    found = read(data, name=name, content_type=content_type).blocks
    return [(block.kind, block.text) for block in found]


def reason(data: bytes | str, name: str, content_type: str = "") -> str:
    with pytest.raises(Unreadable) as raised:
        blocks(data, name, content_type)
    return str(raised.value)


# --- PDF ---------------------------------------------------------------------------------------


def test_a_pdf_has_headings_by_size_paragraphs_and_page_numbers() -> None:
    data = files.pdf(
        [
            (72, 760, 22, "Shop handbook"),
            (72, 720, 15, "Returns"),
            *files.paragraph(
                [
                    "You may return goods within 30 days of deliv-",
                    "ery. We pay for the parcel and refund",
                    "you soon.",
                ]
            ),
            *files.paragraph(["Write to us if the parcel is late."], top=620),
        ],
        [
            (72, 760, 15, "退货政策"),
            *files.paragraph(["收到商品后三十天内可以", "无理由退货。"], top=730),
        ],
        title="Handbook",
    )
    reading = read(data, name="handbook.pdf")
    assert (reading.title, reading.pages) == ("Handbook", 2)
    assert [(block.kind, block.text, block.level, block.page) for block in reading.blocks] == [
        ("heading", "Shop handbook", 1, 1),
        ("heading", "Returns", 2, 1),
        (
            "prose",
            "You may return goods within 30 days of delivery. We pay for the parcel and refund you soon.",
            0,
            1,
        ),
        ("prose", "Write to us if the parcel is late.", 0, 1),
        ("heading", "退货政策", 2, 2),
        ("prose", "收到商品后三十天内可以无理由退货。", 0, 2),
    ]


def test_a_table_in_a_pdf_keeps_its_rows() -> None:
    rows = [("Zone", "Price", "Days"), ("Domestic", "4 EUR", "1-2"), ("Europe", "9 EUR", "3-5")]
    lines = [
        (x, 600 - 16 * number, 11, value)
        for number, row in enumerate(rows)
        for x, value in zip((72, 250, 400), row, strict=True)
    ]
    found = blocks(
        files.pdf([*files.paragraph(["What a parcel costs depends on where it goes."]), *lines]),
        "a.pdf",
    )
    assert found[1] == (
        "table",
        "Zone | Price | Days\nDomestic | 4 EUR | 1-2\nEurope | 9 EUR | 3-5",
    )


def test_running_titles_and_page_numbers_of_a_pdf_are_left_out() -> None:
    pages = [
        [
            (72, 800, 9, "Acme handbook 2026"),
            *files.paragraph(
                [f"Chapter text of page {word} is here.", "It goes on with more words."]
            ),
            (300, 40, 9, f"{number} of 4"),
        ]
        for number, word in enumerate(["one", "two", "three", "four"], 1)
    ]
    text = " ".join(text for _kind, text in blocks(files.pdf(*pages), "a.pdf"))
    assert "Acme handbook" not in text
    assert "of 4" not in text
    assert "page three" in text


def test_a_scanned_pdf_says_that_its_pages_are_pictures() -> None:
    assert "OCR" in reason(files.pdf([], []), "scan.pdf")


def test_a_pdf_with_one_page_of_text_notes_the_others() -> None:
    reading = read(files.pdf(files.paragraph(["Hello there, reader."]), []), name="a.pdf")
    assert reading.notes == [
        ("Pages without text (pictures, or empty): %(pages)s.", {"pages": "2"})
    ]


def test_a_damaged_pdf_and_one_with_a_password_say_so() -> None:
    good = files.pdf(files.paragraph(["Hello there, reader."]))
    assert "damaged" in reason(b"%PDF-1.7\n" + b"\x00\xff" * 300, "a.pdf")
    locked = good.replace(
        b"trailer << ",
        b"trailer << /ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <"
        + b"00" * 32
        + b"> /U <"
        + b"00" * 32
        + b"> >> ",
    )
    assert "password" in reason(locked, "a.pdf")


# --- DOCX --------------------------------------------------------------------------------------


def test_a_word_document_keeps_headings_lists_and_tables() -> None:
    assert blocks(files.word(), "shop.docx") == [
        ("heading", "Returns"),
        ("prose", "You may return goods within 30 days of delivery."),
        ("heading", "Costs"),
        ("list", "- Domestic parcels\n- Parcels from abroad"),
        ("table", "Zone | Price\nDomestic | 0 EUR\nAbroad | 9 EUR"),
        ("prose", "退货运费由商家承担。"),
    ]


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 4 * 2**20)
    monkeypatch.setattr(archives, "_check_xml", None)
    zeros = b"<w>" + b" " * (5 * 2**20)
    assert "larger than 4 MB" in reason(
        files.with_member(files.word(), "word/document.xml", zeros), "a.docx"
    )
    many = {f"xl/{number}.xml": b" " * 2**16 for number in range(80)}
    assert "larger than 4 MB" in reason(files.archive({"xl/workbook.xml": b"", **many}), "a.xlsx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_entities_are_refused(encoding: str) -> None:
    evil = (
        '<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">'
        '<!ENTITY x SYSTEM "file:///etc/passwd">]><w>&b;&x;</w>'
    ).encode(encoding)
    assert "entities" in reason(
        files.with_member(files.word(), "word/document.xml", evil), "a.docx"
    )
    sheet = files.workbook({"A": [["question", "answer"], ["a", "b"]]})
    assert "entities" in reason(files.with_member(sheet, "xl/workbook.xml", evil), "a.xlsx")


def test_damaged_office_files_say_so() -> None:
    assert "damaged" in reason(files.word()[:2000], "a.docx")
    assert "damaged" in reason(
        files.with_member(files.word(), "word/document.xml", b"<w:document"), "a.docx"
    )
    assert "damaged" in reason(
        files.with_member(
            files.workbook({"A": [["q", "a"]]}), "xl/worksheets/sheet1.xml", b"<worksheet><row"
        ),
        "a.xlsx",
    )
    assert "Older Office" in reason(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "a.doc")


# --- Markdown ----------------------------------------------------------------------------------


def test_markdown() -> None:
    text = (
        "---\ntitle: Handbook\n---\n# Returns\n\nWithin **30 days**,\nsee [the form](https://x.example).\n\n"
        "1. Pack it\n2. Send it\n   - by post\n\n| Zone | Price |\n|---|---|\n| EU | 9 |\n\n```\nGET /orders\n```\n"
        "> Quoted\n"
    )
    assert blocks(text, "a.md") == [
        ("heading", "Returns"),
        ("prose", "Within 30 days, see the form."),
        ("list", "1. Pack it\n2. Send it\n  - by post"),
        ("table", "Zone | Price\nEU | 9"),
        ("code", "GET /orders"),
        ("prose", "Quoted"),
    ]
    assert read(text.encode(), name="a.md").title == "Handbook"


# --- HTML --------------------------------------------------------------------------------------

PAGE = """<!doctype html><html lang="zh-CN"><head><title>Returns</title><script>var a = "no";</script></head><body>
<header><nav><ul><li><a href="/">Home</a></li><li><a href="/shop">Shop</a></li></ul></nav></header>
<div class="cookie-banner">We use cookies. <button>OK</button></div>
<main><h1>Returns</h1><p>Within <b>30</b> days<br>of delivery.</p>
<ul><li>Pack it <ul><li>in a box</li></ul></li><li>Send it</li></ul>
<table><tr><th>Zone</th><th>Price</th></tr><tr><td>EU</td><td>9 EUR</td></tr></table>
<div>Loose text <p>and a paragraph</p> tail</div><pre>line 1
  line 2</pre><p hidden>secret</p></main>
<footer>© Acme</footer></body></html>"""


def test_html_is_read_without_its_menus_and_banners() -> None:
    reading = read(PAGE.encode(), name="", content_type="text/html; charset=utf-8")
    assert (reading.title, reading.language) == ("Returns", "zh")
    assert [(block.kind, block.text) for block in reading.blocks] == [
        ("heading", "Returns"),
        ("prose", "Within 30 days of delivery."),
        ("list", "- Pack it\n  - in a box\n- Send it"),
        ("table", "Zone | Price\nEU | 9 EUR"),
        ("prose", "Loose text"),
        ("prose", "and a paragraph"),
        ("prose", "tail"),
        ("code", "line 1\n  line 2"),
    ]


def test_a_page_that_is_all_in_a_box_called_sidebar_is_still_read() -> None:
    page = (
        "<html><body><div class='page sidebar'><p>"
        + "All that there is. " * 20
        + "</p></div></body></html>"
    )
    assert "All that there is." in blocks(page, "a.html")[0][1]


def test_a_page_made_by_a_program_says_so() -> None:
    assert "program" in reason(
        "<!doctype html><html><body><div id=app></div><noscript>Enable it</noscript></body></html>",
        "",
    )


def test_html_nested_without_end_is_read_or_refused_but_does_not_break() -> None:
    deep = "<html><body>" + "<div>" * 50_000 + "text" + "<table><tr><td>" * 2000
    with suppress(Unreadable):
        blocks(deep, "a.html")


@pytest.mark.parametrize(
    ("encoding", "header", "meta"),
    [
        ("gb18030", "text/html", "gb2312"),
        ("gb18030", "text/html; charset=gbk", ""),
        ("gb18030", "text/html", ""),
        ("gb18030", "text/html", "big5"),
        ("big5", "text/html", "big5"),
        ("utf-8", "text/html; charset=gbk", "gb2312"),
        ("utf-16", "text/html", ""),
    ],
)
def test_html_in_whatever_encoding(encoding: str, header: str, meta: str) -> None:
    text = (
        "退貨說明：收到商品後可以退貨，請聯繫我們的客服。"
        if encoding == "big5"
        else "退货说明：收到商品后可以退货，请联系我们的客服。"
    )
    charset = f"<meta charset={meta}>" if meta else ""
    page = f"<html><head>{charset}</head><body><p>{text}</p></body></html>".encode(encoding)
    if meta == "big5" and encoding == "gb18030":
        pytest.skip("a page that lies about its encoding is read as it says")
    assert blocks(page, "", header) == [("prose", text)]


# --- text and tables ---------------------------------------------------------------------------


def test_text_has_paragraphs_lists_and_numbered_headings() -> None:
    text = "第一章 退货\n\n收到商品后三十天内\n可以退货。\n\n1. 打包\n2. 寄回\n\n"
    text += "2.1 Returns from abroad\n\nWrite to us first,\nplease do."
    assert blocks(text, "a.txt") == [
        ("heading", "第一章 退货"),
        ("list", "收到商品后三十天内\n可以退货。"),
        ("list", "1. 打包\n2. 寄回"),
        ("heading", "2.1 Returns from abroad"),
        ("list", "Write to us first,\nplease do."),
    ]


def test_questions_and_answers_in_csv() -> None:
    data = "﻿Question;Answer;Category\nCan I return it?||How to return?;Within 30 days.;Returns\n"
    data += ";no question;\n怎么退款？;三天内退回。;Money\n"
    reading = read(data.encode(), name="faq.csv")
    assert [(block.kind, block.text) for block in reading.blocks] == [
        ("heading", "Returns"),
        ("question", "Can I return it? / How to return?\nWithin 30 days."),
        ("heading", "Money"),
        ("question", "怎么退款？\n三天内退回。"),
    ]
    assert reading.notes == [
        ("Rows without a question or an answer were left out: %(rows)s.", {"rows": "3"})
    ]


def test_csv_in_gbk_without_known_column_names() -> None:
    data = "如何退货,三十天内可以退货\n多久到账,三个工作日\n".encode("gbk")
    reading = read(data, name="faq.csv")
    assert [block.text for block in reading.blocks] == [
        "如何退货\n三十天内可以退货",
        "多久到账\n三个工作日",
    ]
    assert "first two" in reading.notes[0][0]


def test_questions_and_answers_in_a_workbook() -> None:
    data = files.workbook(
        {
            "Returns": [
                ["问题", "答案"],
                ["能退货吗", "三十天内可以"],
                [None, None],
                ["几天到账", 3.0],
            ],
            "Notes": [["only one column"], ["x"]],
        }
    )
    assert blocks(data, "faq.xlsx") == [
        ("heading", "Returns"),
        ("question", "能退货吗\n三十天内可以"),
        ("question", "几天到账\n3"),
        ("heading", "Notes"),
    ]
    assert "two columns" in reason(files.workbook({"A": [["x"], ["y"]]}), "a.xlsx")


def test_a_sheet_that_claims_to_be_endless_ends() -> None:
    data = files.workbook({"A": [["question", "answer"], ["a", "b"]]})
    sheet = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
        b'<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>question</t></is></c><c r="B1" t="inlineStr"><is><t>'
        b'answer</t></is></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    )
    assert "no text" in reason(files.with_member(data, "xl/worksheets/sheet1.xml", sheet), "a.xlsx")


# --- what is refused, and limits ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "content_type", "words"),
    [
        (b"", "a.txt", "", "nothing in it"),
        (b" \n ", "a.md", "", "nothing in it"),
        (b"\x89PNG\r\n\x1a\n....", "a.pdf", "", "picture"),
        (b"PK\x03\x04", "a.zip", "", "damaged"),
        (files.archive({"a.txt": b"x"}), "a.zip", "", "not read"),
        (b"hello", "a.pdf", "", "called PDF"),
        (b"hello", "a.exe", "", "not read"),
        (b"{}", "", "application/json", "not read"),
        (b"\x00\x01\x02\x03\x00\x00\x00" * 100, "a.txt", "", "not text"),
        (b"a" * (document.MAX_BYTES + 1), "a.txt", "", "larger than 32 MB"),
    ],
)
def test_refused_with_the_reason(data: bytes, name: str, content_type: str, words: str) -> None:
    assert words in reason(data, name, content_type)


def test_a_longer_text_is_read_to_the_limit_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_CHARACTERS", 1000)
    reading = read("\n\n".join(["word " * 20] * 50).encode(), name="a.txt")
    assert sum(len(block.text) for block in reading.blocks) <= 1000
    assert "Only the first" in reading.notes[0][0]


NAMES = ["a.pdf", "a.docx", "a.xlsx", "a.md", "a.html", "a.csv", "a.txt", "", "a.bin"]


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), name=st.sampled_from(NAMES))
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    _read_or_refuse(data, name)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300), name=st.sampled_from(NAMES))
def test_any_text_is_read_or_refused(text: str, name: str) -> None:
    _read_or_refuse(text.encode("utf-8", "surrogatepass"), name)


GOOD = {
    "a.pdf": files.pdf([(72, 720, 15, "Returns"), *files.paragraph(["You may return it."])]),
    "a.docx": files.word(),
    "a.xlsx": files.workbook({"A": [["question", "answer"], ["a", "b"]]}),
    "a.html": PAGE.encode(),
    "a.md": b"# A\n\n- b\n  - c\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
}


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(GOOD)))
def test_damaged_files_are_read_or_refused(data: st.DataObject, name: str) -> None:
    content = bytearray(GOOD[name])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    _read_or_refuse(bytes(content[:cut]), name)


def _read_or_refuse(data: bytes, name: str) -> None:
    try:
        reading = read(data, name=name)
    except Unreadable as error:
        assert str(error)
        return
    for block in reading.blocks:
        assert block.kind in document.KINDS
        assert block.text.strip()
        assert "\x00" not in block.text
        block.text.encode()


# --- the process -------------------------------------------------------------------------------


def put(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(data)
    return path


def test_the_process_reads_what_the_reader_reads(tmp_path: Path) -> None:
    reading = file_read(put(tmp_path, files.word()), name="a.docx")
    assert reading == read(files.word(), name="a.docx")
    assert isinstance(reading, Reading)


def test_the_reason_comes_through_the_process(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="OCR"):
        file_read(put(tmp_path, files.pdf([])), name="scan.pdf")


def test_what_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="too long"):
        file_read(put(tmp_path, files.word()), name="a.docx", seconds=0.0)


def test_a_pdf_bomb_ends_with_a_reason(tmp_path: Path) -> None:
    """A page of which 30 kB unpack to 30 MB of text commands."""
    stream = zlib.compress(b"BT /L 11 Tf 72 700 Td (aaaa) Tj ET\n" * 900_000, 9)
    plain = files.pdf(files.paragraph(["x"]))
    start = plain.index(b"<< /Length ")
    end = plain.index(b"endstream", start)
    bomb = (
        plain[:start]
        + b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\n" % (len(stream), stream)
        + plain[end:]
    )
    try:
        reading = file_read(put(tmp_path, bomb), name="a.pdf", seconds=30)
    except Unreadable as error:
        assert str(error)
    else:
        assert reading.characters <= document.MAX_CHARACTERS


def test_a_crash_of_the_reader_is_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.customer_service.services.reading.process._PROGRAM", "no.such.module")
    with pytest.raises(Unreadable, match="damaged"):
        file_read(put(tmp_path, files.word()), name="a.docx")


def test_cancelling_ends_the_process(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def check() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        file_read(put(tmp_path, files.word()), name="a.docx", check=check)
