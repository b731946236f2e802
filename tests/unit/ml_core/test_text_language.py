from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ml_core.text import detect_language

REPOSITORY = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("ROOTSTOCK_DATA", REPOSITORY / ".." / "shared" / "data"))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("$AAPL beats", "en"),
        ("AAPL Q3", "en"),
        ("oil slips", "en"),
        ("Tencent (腾讯) reports a rise in quarterly profit", "en"),
        ("ok 👍", "en"),
        ("Café chain Élan reports a record profit for the quarter", "en"),
        ("央行下调存款准备金率", "zh"),
        ("北辰股份 Q3 EPS 不及预期，ADR 盘前跌 5%", "zh"),
        ("降息", "zh"),
        ("日本銀行は利上げを見送った", "ja"),
        ("삼성전자 영업이익 급증", "ko"),
        ("Банк России повысил ключевую ставку", "ru"),
        ("La banque centrale européenne relève ses taux", "fr"),
        ("Die Zentralbank hebt die Zinsen erneut deutlich an", "de"),
    ],
)
def test_language_of_a_headline(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    "text", ["", "   ", "12345", "+3.5%", "🚀🚀🚀", "\u200b\u200d", "—…!", "\x00"]
)
def test_text_without_letters_is_undetermined_even_with_a_hint(text: str) -> None:
    assert detect_language(text) == "und"
    assert detect_language(text, hint="zh-CN") == "und"


def test_hint_settles_only_what_the_text_leaves_open() -> None:
    assert detect_language("Volkswagen Aktie", hint="de-DE") == "de"
    assert detect_language("央行下调存款准备金率", hint="en") == "zh"
    assert detect_language("The central bank raised its key rate on Thursday", hint="zh") == "en"
    assert detect_language("oil slips", hint="not a language") == "en"


def test_importing_the_package_loads_no_model_and_no_torch() -> None:
    code = (
        "import sys, ml_core.text; "
        "print([m for m in ('torch', 'jieba', 'py3langid', 'numpy') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


@pytest.mark.data
def test_accuracy_on_bilingual_news_feeds() -> None:
    archive = DATA / "finance_rss_zh_en" / "collected_data.tar.xz"
    if not archive.exists():
        pytest.skip(f"{archive} is not there")
    titles = set()
    with tarfile.open(archive) as tar:
        for member in tar:
            handle = tar.extractfile(member) if member.name.endswith(".json") else None
            if handle:
                titles.update(article["title"] for article in json.load(handle)["articles"])
    # The feeds are English and Chinese, so a Han character tells which.
    expected = {t: "zh" if any("\u4e00" <= c <= "\u9fff" for c in t) else "en" for t in titles}
    right = sum(detect_language(title) == language for title, language in expected.items())
    print(f"{right} of {len(titles)} titles")
    assert right / len(titles) >= 0.995


@pytest.mark.data
def test_accuracy_on_chinese_company_news() -> None:
    path = DATA / "fin_news_sent_zh" / "test_data.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        titles = [row["标题"] for row in csv.DictReader(handle)]
    right = sum(detect_language(title) == "zh" for title in titles)
    print(f"{right} of {len(titles)} titles")
    assert right / len(titles) >= 0.995
