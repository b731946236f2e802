from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ml_core.data.errors import DataError
from ml_core.pretraining.corpus import (
    CorpusConfig,
    CorpusReport,
    corpus_rows,
    corpus_texts,
    prepare_corpus,
)
from ml_core.text import content_hash
from ml_core.training import ConfigError, TrainingCancelled

CEDICT = """# CC-CEDICT
傳統 传统 [chuan2 tong3] /tradition/traditional/
乾 干 [gan1] /dry/clean/
乾淨 干净 [gan1 jing4] /clean/neat/
乾隆 乾隆 [Qian2 long2] /Qianlong Emperor/
淨 净 [jing4] /clean/completely/
銀 银 [yin2] /silver/
銀行 银行 [yin2 hang2] /bank/
後 后 [hou4] /back/behind/
後來 后来 [hou4 lai2] /afterwards/
皇后 皇后 [huang2 hou4] /empress/
來 来 [lai2] /to come/
帳 帐 [zhang4] /account/
"""

ZH = [
    "银行在周二宣布降低存款利率，分析人士认为这会让更多居民把钱投入股票市场和基金产品。",
    "天文学家使用新的望远镜观测到一颗遥远的行星，它的表面可能存在液态水和稀薄的大气层。",
    "这家餐厅的招牌菜是红烧肉，许多顾客专程从外地赶来品尝，周末常常需要排队两个小时。",
    "市政府计划明年修建三条新的地铁线路，连接机场、大学城以及东部的工业园区和居民区。",
]
EN = [
    "The library opens at nine in the morning and closes late in the evening on weekdays.",
    "Farmers in the valley expect a good harvest after an unusually wet and mild spring.",
    "Her new novel follows three generations of a family who run a small hotel by the sea.",
    "Engineers tested the bridge for several weeks before the first trains were allowed to cross.",
]


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


def _prepare(tmp_path: Path, sources: list[dict[str, Any]], **settings: Any) -> CorpusReport:
    values = {"out": tmp_path / "corpus", "validation": 0, "sources": sources} | settings
    return prepare_corpus(CorpusConfig.from_mapping(values))


def _documents(tmp_path: Path, texts: list[str], **settings: Any) -> tuple[CorpusReport, list[str]]:
    path = _jsonl(tmp_path / "documents.jsonl", [{"text": text} for text in texts])
    report = _prepare(tmp_path, [{"name": "d", "path": str(path)}], **settings)
    return report, [row["text"] for row in corpus_rows(report.out)]


def _table(tmp_path: Path) -> Path:
    path = tmp_path / "cedict.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(CEDICT)
    return path


# --- sources ---------------------------------------------------------------------------------------


def _written(tmp_path: Path, kind: str) -> dict[str, Any]:
    """The Chinese texts in a file of a kind, and the source that reads it."""
    source: dict[str, Any] = {"name": kind, "format": kind.split("-", maxsplit=1)[0]}
    path = tmp_path / kind
    if kind == "text":
        path.write_text("\n\n".join(ZH), "utf-8")
    elif kind == "jsonl-gz":
        path = tmp_path / "rows.jsonl.gz"
        lines = "".join(json.dumps({"body": text}) + "\n" for text in ZH)
        path.write_bytes(gzip.compress(lines.encode()))
        source["text"] = "body"
    elif kind == "csv":
        path.write_text(
            "\ufeffid,text\n" + "".join(f'{n},"{t}"\n' for n, t in enumerate(ZH)), "utf-8"
        )
    elif kind == "tsv":
        path.write_text("".join(f'{n}\t"{t}\n' for n, t in enumerate(ZH)), "utf-8")
        source |= {"columns": ["number", "body"], "text": "body"}
    elif kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"text": ZH}), path)
    elif kind == "wiki-tar":
        path = tmp_path / "wiki.tar.xz"
        pages = [
            f'<doc id="1" url="u" title="题目{n}">\n题目{n}\n\n{t}\n\n</doc>\n'
            for n, t in enumerate(ZH)
        ]
        pages.append('<doc id="9" url="u" title="空">\n空\n\n</doc>\n')
        content = "".join(pages).encode()
        with tarfile.open(path, "w:xz") as archive:
            entry = tarfile.TarInfo("AA/wiki_00")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    else:
        path = tmp_path / "days.json.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/1.json", json.dumps([{"text": text} for text in ZH]))
            archive.writestr("a/readme.txt", "not JSON")
        source["members"] = "*.json"
    return source | {"path": str(path)}


@pytest.mark.parametrize(
    "kind", ["text", "jsonl-gz", "csv", "tsv", "parquet", "wiki-tar", "json-zip"]
)
def test_every_format_gives_its_texts_in_order(tmp_path: Path, kind: str) -> None:
    report = _prepare(tmp_path, [_written(tmp_path, kind)])
    texts = [row["text"].split("\n")[-1].strip('"') for row in corpus_rows(report.out)]
    assert texts == ZH
    assert report.total("rows", "zh") == report.sources[0].train == len(ZH)


def test_pairs_of_every_format_have_both_languages(tmp_path: Path) -> None:
    (tmp_path / "zh").write_text("银行今天关门。\n", "utf-8")
    (tmp_path / "en").write_text("The bank is closed today.\n", "utf-8")
    (tmp_path / "a.po").write_text(
        'msgid ""\nmsgstr "Language: zh\\n"\n\n#, fuzzy\nmsgid "old"\nmsgstr "旧的说法"\n\n'
        'msgid ""\n"See :ref:`the guide <guide>` "\n"first."\nmsgstr "请先看 :ref:`指南 <guide>`。"\n',
        "utf-8",
    )
    (tmp_path / "m.tmx").write_text(
        '<tmx><body><tu><tuv xml:lang="en-US"><seg>I have a fever.</seg></tuv>'
        '<tuv xml:lang="zh-CN"><seg>我发烧了。</seg></tuv></tu></body></tmx>',
        "utf-8",
    )
    sources = [
        {
            "name": "lines",
            "format": "text",
            "path": {"zh": str(tmp_path / "zh"), "en": str(tmp_path / "en")},
        },
        {"name": "po", "format": "po", "path": str(tmp_path / "a.po")},
        {"name": "tmx", "format": "tmx", "path": str(tmp_path / "m.tmx")},
        {"name": "words", "format": "cedict", "path": str(_table(tmp_path)), "limit": 1},
    ]
    report = _prepare(tmp_path, [each | {"kind": "pairs"} for each in sources])
    assert list(corpus_rows(report.out)) == [
        {"zh": "银行今天关门。", "en": "The bank is closed today.", "source": "lines"},
        {"zh": "请先看 指南。", "en": "See the guide first.", "source": "po"},
        {"zh": "我发烧了。", "en": "I have a fever.", "source": "tmx"},
        {"zh": "传统", "en": "tradition", "source": "words"},
    ]


def test_neighbouring_turns_and_titles_become_matches(tmp_path: Path) -> None:
    dialogue = {
        "1": {"messages": [{"content": c} for c in ("请问几点开门？", "早上九点。", "谢谢你。")]}
    }
    (tmp_path / "d.json").write_text(json.dumps(dialogue), "utf-8")
    page = f'<doc id="1" url="u" title="图书馆">\n图书馆\n\n{ZH[0]}\n\n</doc>\n'
    (tmp_path / "w").write_text(page, "utf-8")
    sources = [
        {"name": "turns", "format": "dialogues", "path": str(tmp_path / "d.json")},
        {
            "name": "leads",
            "format": "wiki",
            "path": str(tmp_path / "w"),
            "text": {"anchor": "title", "positive": "lead"},
        },
    ]
    report = _prepare(tmp_path, [each | {"kind": "matches"} for each in sources])
    assert [(row["anchor"], row["positive"]) for row in corpus_rows(report.out)] == [
        ("请问几点开门？", "早上九点。"),
        ("早上九点。", "谢谢你。"),
        ("图书馆", ZH[0]),
    ]


def test_a_sentence_of_an_article_finds_its_paragraph(tmp_path: Path) -> None:
    """It is one of the middle, no title, and the paragraph is without it; articles that have none are left out."""
    body = "图书馆于一九一二年建成。馆内收藏了全国各地的地方志和族谱！今天仍然对公众免费开放。"
    pages = [("图书馆", f"{ZH[0]}\n\n{body}\n\n参见。"), ("银行", ZH[0])]
    (tmp_path / "w").write_text(
        "".join(f'<doc id="1" url="u" title="{t}">\n{t}\n\n{b}\n\n</doc>\n' for t, b in pages),
        "utf-8",
    )
    source = {
        "name": "sentences",
        "format": "wiki",
        "kind": "matches",
        "path": str(tmp_path / "w"),
        "text": {"anchor": "sentence", "positive": "rest"},
    }
    report = _prepare(tmp_path, [source])
    assert [(row["anchor"], row["positive"]) for row in corpus_rows(report.out)] == [
        ("馆内收藏了全国各地的地方志和族谱！", "图书馆于一九一二年建成。今天仍然对公众免费开放。")
    ]
    assert report.sources[0].dropped == {"empty": 1}


def test_a_broken_record_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = [json.dumps({"text": text}).encode() for text in ZH[:2]]
    path.write_bytes(
        b"\n".join([good[0], b"{broken", b'{"text": "\xff"}', b'{"body": "x"}', good[1]])
    )
    report = _prepare(tmp_path, [{"name": "d", "path": str(path)}])
    assert list(corpus_texts(report.out)) == ZH[:2]
    assert report.sources[0].dropped == {"unreadable": 3}
    assert "line 2: not valid JSON" in report.sources[0].examples["unreadable"][0]
    assert "no column 'text', only body" in report.sources[0].examples["unreadable"][2]


def test_a_source_without_one_readable_record_is_an_error(tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "rows.jsonl", [{"body": text} for text in ZH])
    with pytest.raises(DataError, match=r"'d'.*nothing can be read.*no column 'text', only body"):
        _prepare(tmp_path, [{"name": "d", "path": str(path)}])
    assert not (tmp_path / "corpus" / "report.json").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sources": []}, "sources: missing"),
        ({"sources": [{"name": "a"}]}, "sources, entry 1: path: missing"),
        (
            {"sources": [{"path": "x", "kind": "words"}]},
            "kind: 'words' is none of documents, pairs, matches",
        ),
        ({"sources": [{"path": "x", "fromat": "text"}]}, "did you mean 'format'"),
        ({"sources": [{"path": "x"}, {"path": "y/x"}]}, "'x' is there twice"),
        ({"sources": [{"path": "x", "quality": {"letter": 1}}]}, "did you mean 'letters'"),
        ({"sources": [{"path": "x"}], "validation": 0.9}, "validation: must be from 0 to 0.5"),
        ({"sources": [{"path": "x"}], "workers": "two"}, "workers: must be a number"),
        ({"sources": [{"path": "x"}], "script": "simplified"}, "script_table: missing"),
        ({"sources": [{"path": "no-such-*"}]}, "no such file"),
    ],
)
def test_what_is_wrong_in_the_settings_is_said(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare_corpus(CorpusConfig.from_mapping({"out": tmp_path / "corpus"} | values))


# --- what is kept, and how it is written -----------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("empty", "<p>\u200b</p>"),
        ("too_short", "很短。"),
        ("few_letters", "2024 01 15 3021 17 4512 88 9930 12 4411 20 1934 77 6620 13 8841 90 表"),
        (
            "markup",
            "{{infobox|name=x|id=1}} [[链接|文字]] {| class=x |- | a || b || c |} 正文在这里没有多少。",
        ),
        (
            "boilerplate",
            "版权所有 未经书面许可不得转载本站内容\n点击查看更多精彩内容请关注我们\n扫码下载客户端获得最新资讯",
        ),
        ("repeated_lines", "今天的天气非常好适合出门散步。\n" * 6),
        ("repeated_ngrams", "我们一起去公园里看花然后回家吃饭" * 8),
        (
            "language",
            "Die Bibliothek öffnet um neun Uhr morgens und schließt spät am Abend, auch am Wochenende.",
        ),
    ],
)
def test_each_rule_drops_its_texts_and_shows_them(tmp_path: Path, rule: str, text: str) -> None:
    report, kept = _documents(tmp_path, [ZH[0], text, EN[0]])
    assert kept == [ZH[0], EN[0]]
    assert report.sources[0].dropped == {rule: 1}
    assert len(report.sources[0].examples[rule]) == 1
    assert f"`{rule}`" in (report.out / "REPORT.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("rule", "zh", "en"),
    [
        ("untranslated", "PyObject", "PyObject"),
        (
            "unequal_lengths",
            "好。",
            "This is a very long sentence that says much more than the other one does.",
        ),
        ("language", "The bank is closed today.", "银行今天关门。"),
        ("few_letters", "12:30", "12:30 p.m."),
    ],
)
def test_pairs_that_are_no_translation_go(tmp_path: Path, rule: str, zh: str, en: str) -> None:
    good = {"zh": "现在是7点45分。", "en": "It's 7:45."}
    path = _jsonl(tmp_path / "pairs.jsonl", [good, {"zh": zh, "en": en}])
    report = _prepare(tmp_path, [{"name": "p", "kind": "pairs", "path": str(path)}])
    assert report.sources[0].dropped == {rule: 1}
    assert [row["zh"] for row in corpus_rows(report.out)] == [good["zh"]]


def test_a_source_may_have_other_limits(tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "titles.jsonl", [{"text": "央行降息"}, {"text": "金"}])
    source = {"name": "t", "path": str(path), "quality": {"min_characters": 6}}
    assert list(corpus_texts(_prepare(tmp_path, [source]).out)) == ["央行降息"]


def test_texts_are_cleaned_but_chinese_punctuation_stays(tmp_path: Path) -> None:
    untidy = (
        "<p>Ａ股&nbsp;大涨，涨幅\u200b３.５％！</p><script>x=1</script>\r\n\r\n"
        "  投资者（尤其是散户）  情绪高涨，面积为 5 m²，a < b。"
    )
    _, kept = _documents(tmp_path, [untidy])
    assert kept == ["A股 大涨，涨幅3.5％！\n投资者（尤其是散户） 情绪高涨，面积为 5 m²，a < b。"]


def test_personal_data_is_masked_also_in_the_report(tmp_path: Path) -> None:
    report, kept = _documents(
        tmp_path, [f"{ZH[0]}联系人电话13812345678，邮箱li@example.com。", "电话13912345678"]
    )
    assert kept == [f"{ZH[0]}联系人电话<PHONE>，邮箱<EMAIL>。"]
    assert report.sources[0].masked == {"PHONE": 1, "EMAIL": 1}
    written = (report.out / "report.json").read_text("utf-8")
    assert "13912345678" not in written and "<PHONE>" in written


def test_copies_go_and_different_texts_stay(tmp_path: Path) -> None:
    near = ZH[0].replace("周二", "周三")
    report, kept = _documents(tmp_path, [*ZH, ZH[1] + "！", near, *EN, EN[2].upper()])
    assert kept == [*ZH, *EN]
    assert report.sources[0].dropped == {"duplicate": 2, "near_duplicate": 1}
    report, kept = _documents(tmp_path, [ZH[0], near], near_duplicates=0)
    assert kept == [ZH[0], near]


def test_copies_are_forgotten_when_more_texts_came_than_are_remembered(tmp_path: Path) -> None:
    _, kept = _documents(tmp_path, [*ZH, *EN, ZH[0]], remembered=1)
    # A table of one text loses some, and never finds one that was not there.
    assert kept[:8] == [*ZH, *EN]


def test_traditional_becomes_simplified_by_the_words_around_it(tmp_path: Path) -> None:
    text = "銀行的傳統是乾淨，後來乾隆皇帝與皇后一同來到這裡，在帳本上寫下了自己的名字。"
    simple = "银行的传统是干净，后来乾隆皇帝與皇后一同来到這裡，在帐本上寫下了自己的名字。"
    already = "乾隆皇帝与皇后的故事在民间流传很广，直到今天还有许多电视剧以此为题材不断拍摄。"
    table = str(_table(tmp_path))
    _, kept = _documents(tmp_path, [text, already], script="simplified", script_table=table)
    assert kept == [simple, already]
    _, kept = _documents(tmp_path, [text, already], script="both", script_table=table)
    assert kept == [simple, text, already]
    # Both scripts of a text are one text.
    report, kept = _documents(tmp_path, [text, simple], script_table=table)
    assert kept == [text]
    assert report.sources[0].dropped == {"duplicate": 1}


def test_what_judges_the_model_is_not_learned(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text(
        "傳統銀行的帳戶需要本人到場辦理。\nThe train to the coast leaves at noon every day.\n",
        "utf-8",
    )
    pairs = [
        {
            "zh": "传统银行的帐户需要本人到場辦理",
            "en": "You must come to a traditional bank in person.",
        },
        {"zh": "去海边的火车每天中午开。", "en": "The train to the coast leaves at noon each day."},
        {"zh": "猫在睡觉。", "en": "The cat is asleep."},
    ]
    path = _jsonl(tmp_path / "pairs.jsonl", pairs)
    document = f"{EN[0]} The train to the coast leaves at noon every day. {EN[1]}"
    documents = _jsonl(tmp_path / "d.jsonl", [{"text": document}])
    report = _prepare(
        tmp_path,
        [{"name": "p", "kind": "pairs", "path": str(path)}, {"name": "d", "path": str(documents)}],
        exclude=[{"path": str(tmp_path / "test.txt"), "format": "text"}],
        script_table=str(_table(tmp_path)),
    )
    rows = list(corpus_rows(report.out))
    assert rows[0]["zh"] == "猫在睡觉。"
    assert report.sources[0].dropped == {"held_out": 2}
    assert rows[1]["text"] == f"{EN[0]} {EN[1]}"
    assert report.sources[1].cut_sentences == 1
    assert report.held_out == 2


def test_a_held_out_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    bad = _jsonl(tmp_path / "test.jsonl", [{"question": "x"}])
    with pytest.raises(DataError, match=r"exclude 'test': there is no column 'text'"):
        _documents(tmp_path, ZH, exclude=[{"path": str(bad)}])


def test_a_held_out_file_without_a_record_is_an_error(tmp_path: Path) -> None:
    bad = tmp_path / "test.json"
    bad.write_text('{"data": [{"context": "x", "qas": [{"question": "y"}]}]}', "utf-8")
    exclude = {"path": str(bad), "format": "json", "text": ["question", "context"]}
    with pytest.raises(DataError, match=r"exclude 'test': there is no record"):
        _documents(tmp_path, ZH, exclude=[exclude])
    report, _ = _documents(tmp_path, ZH, exclude=[exclude | {"text": "question"}])
    assert report.held_out == 1


# --- split, resuming, sameness ----------------------------------------------------------------------


def _many(count: int) -> list[str]:
    things = ["harbour", "orchard", "station", "theatre", "glacier", "workshop", "island", "market"]
    acts = [
        "was rebuilt by",
        "was painted for",
        "was visited by",
        "was described to",
        "was sold to",
    ]
    people = ["seven fishermen", "a retired teacher", "the northern council", "her younger cousin"]
    return [
        f"In {1500 + number} the {things[number % 8]} of {number * 7919 % 1009} gates {acts[number % 5]} "
        f"{people[number % 4]}, who kept a diary about {things[(number // 8) % 8]} {number} until winter."
        for number in range(count)
    ]


def test_the_split_follows_from_the_text_alone(tmp_path: Path) -> None:
    texts = _many(400)
    settings = {"validation": 0.2, "near_duplicates": 0}
    report, _ = _documents(tmp_path, texts, **settings)
    first = {row["text"] for row in corpus_rows(report.out, "validation")}
    assert 0.1 < len(first) / 400 < 0.3
    again, _ = _documents(tmp_path, texts[::-2], **settings)
    assert {row["text"] for row in corpus_rows(again.out, "validation")} == first & set(texts[::-2])


def test_translations_of_one_sentence_stay_on_one_side(tmp_path: Path) -> None:
    rows = [
        {"zh": f"{zh}第{number}种说法", "en": f"Sentence about {name} here."}
        for name in ("rain", "bread", "music", "winter", "horses", "ships", "letters", "stones")
        for number, zh in enumerate(("这是一句话，", "这里有一句话，", "有这样一句话，"))
    ]
    path = _jsonl(tmp_path / "pairs.jsonl", rows)
    report = _prepare(tmp_path, [{"name": "p", "kind": "pairs", "path": str(path)}], validation=0.4)
    train = {row["en"] for row in corpus_rows(report.out)}
    validation = {row["en"] for row in corpus_rows(report.out, "validation")}
    assert train and validation and not train & validation


def _three_sources(tmp_path: Path) -> dict[str, Any]:
    parts = {"a": _many(60), "b": [*_many(80)[40:], *ZH], "c": [*EN, *ZH]}
    for name, texts in parts.items():
        _jsonl(tmp_path / f"{name}.jsonl", [{"text": text} for text in texts])
    return {
        "sources": [{"name": name, "path": str(tmp_path / f"{name}.jsonl")} for name in parts],
        "validation": 0.1,
        "shard_characters": 3000,
    }


def _files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    values = _three_sources(tmp_path)
    whole = prepare_corpus(CorpusConfig.from_mapping(values | {"out": tmp_path / "whole"}))
    assert len(whole.sources[0].shards) > 1
    config = CorpusConfig.from_mapping(values | {"out": tmp_path / "resumed"})
    told: list[str] = []
    with pytest.raises(TrainingCancelled):
        prepare_corpus(
            config,
            on_progress=lambda progress: told.append(progress.source),
            should_stop=lambda: told.count("b") == 1,
        )
    assert not (config.out / "report.json").exists()
    told.clear()
    resumed = prepare_corpus(config, on_progress=lambda progress: told.append(progress.source))
    assert set(told) == {"b", "c"}
    assert resumed.sources == whole.sources
    assert _files(tmp_path / "resumed") == _files(tmp_path / "whole")
    # What is there already is given back at once.
    told.clear()
    assert (
        prepare_corpus(config, on_progress=lambda progress: told.append(progress.source)) == resumed
    )
    assert told == []


def test_sources_may_be_added_and_taken_away(tmp_path: Path) -> None:
    values = _three_sources(tmp_path)
    everything = values["sources"]
    whole = prepare_corpus(CorpusConfig.from_mapping(values | {"out": tmp_path / "whole"}))
    grown: list[str] = []
    for wanted in (everything[:1], everything, everything[:2], everything):
        config = CorpusConfig.from_mapping(values | {"out": tmp_path / "grown", "sources": wanted})
        report = prepare_corpus(config, on_progress=lambda progress: grown.append(progress.source))
        assert report.sources == whole.sources[: len(wanted)]
        held = {
            row["source"]
            for part in ("train", "validation")
            for row in corpus_rows(report.out, part)
        }
        assert held == {each["name"] for each in wanted}
    assert _files(tmp_path / "grown") == _files(tmp_path / "whole")
    # Another setting makes another corpus.
    other = prepare_corpus(
        CorpusConfig.from_mapping(values | {"out": tmp_path / "grown", "validation": 0})
    )
    assert other.fingerprint != whole.fingerprint
    assert list(corpus_rows(other.out, "validation")) == []


@pytest.mark.parametrize("lost", ["train-00000.jsonl.gz", "validation.jsonl.gz", "seen.bin"])
def test_what_was_lost_is_made_again(tmp_path: Path, lost: str) -> None:
    config = CorpusConfig.from_mapping(_three_sources(tmp_path) | {"out": tmp_path / "corpus"})
    prepare_corpus(config)
    before = _files(config.out)
    (config.out / lost).unlink()
    prepare_corpus(config)
    assert _files(config.out) == before


def test_several_processes_write_the_same_bytes(tmp_path: Path) -> None:
    values = _three_sources(tmp_path)
    for workers in (1, 2):
        config = values | {"out": tmp_path / str(workers), "workers": workers}
        prepare_corpus(CorpusConfig.from_mapping(config))
    assert _files(tmp_path / "1") == _files(tmp_path / "2")


def test_the_report_counts_what_is_in_the_shards(tmp_path: Path) -> None:
    values = _three_sources(tmp_path)
    report = prepare_corpus(CorpusConfig.from_mapping(values | {"out": tmp_path / "corpus"}))
    texts = [text for part in ("train", "validation") for text in corpus_texts(report.out, part)]
    assert report.rows == len(texts)
    assert report.total("characters") == sum(map(len, texts))
    assert report.total("characters", "zh") == sum(map(len, ZH))
    assert report.total("tokens", "zh") > sum(map(len, ZH)) * 0.8
    for each in report.sources:
        assert each.read == each.train + each.validation + sum(each.dropped.values())
    page = (report.out / "REPORT.md").read_text("utf-8")
    assert "| a | documents | 60 |" in page
    assert (
        CorpusReport.from_dict(report.out, json.loads((report.out / "report.json").read_text()))
        == report
    )


def test_a_directory_without_shards_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prepared corpus"):
        list(corpus_rows(tmp_path))


@pytest.mark.data
def test_no_sentence_of_the_bitext_test_is_in_a_corpus_of_tatoeba(tmp_path: Path) -> None:
    data = Path(os.environ.get("ROOTSTOCK_DATA", Path(__file__).parents[4] / "shared" / "data"))
    pairs, test = data / "tatoeba_cmn" / "cmn.txt.gz", data / "tatoeba_bitext_test"
    if not pairs.is_file() or not test.is_dir():
        pytest.skip(f"{pairs} or {test} is not there")
    source = {
        "name": "t",
        "kind": "pairs",
        "path": str(pairs),
        "format": "tsv",
        "columns": ["en", "zh", "by"],
    }
    held = [test / f"tatoeba.cmn-eng.{code}" for code in ("cmn", "eng")]
    report = _prepare(
        tmp_path,
        [source | {"limit": 4000}],
        exclude=[{"path": str(path), "format": "text"} for path in held],
    )
    assert report.sources[0].dropped["held_out"] > 100
    assert report.sources[0].train > 3000
    sentences = {
        content_hash(line) for path in held for line in path.read_text("utf-8").splitlines()
    }
    assert not sentences & {content_hash(text) for text in corpus_texts(report.out)}
