"""What the stages of a recipe are made of: sources, splits, sampling, the teacher's embeddings, the loss."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pretraining_helpers import make_pairs, make_student, write_jsonl

from ml_core.data import DataError
from ml_core.evaluation.reports.imitation import build_imitation_report
from ml_core.pretraining.stages.sources import Source, read_records
from ml_core.training import ConfigError, TrainingCancelled


def test_files_are_read_as_they_come(tmp_path: Path) -> None:
    expected = [("你好", "hello"), ("再见", "goodbye")]
    (tmp_path / "a.tsv").write_text("你好\thello\n再见\tgoodbye\tmore\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("en\tzh\nhello\t你好\ngoodbye\t再见\n", encoding="utf-8")
    (tmp_path / "c.csv").write_text("en,zh\nhello,你好\ngoodbye,再见\n", encoding="utf-8")
    with gzip.open(tmp_path / "d.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"zh": zh, "en": en}) + "\n" for zh, en in expected)
    for name in ("a.tsv", "b.tsv", "c.csv", "d.jsonl.gz"):
        source = Source(str(tmp_path / name))
        assert list(source.records(source.files(), ("zh", "en"))) == expected, name
    both = Source(str(tmp_path / "*.tsv"))
    assert len(list(both.records(both.files(), ("zh", "en")))) == 4


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", '{"zh": "你好"}\n', "line 1, column 'en': there is no text"),
        ("a.jsonl", '{"zh": "你好", "en": "hello"}\nno\n', "line 2: not valid JSON"),
        ("a.csv", "zh,fr\n你好,salut\n", "column 'en': there is no such column"),
        ("a.docx", "x", "unknown kind of file"),
        ("a.jsonl.gz", "no gzip", "cannot be read"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, name: str, content: str, problem: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    source = Source(str(tmp_path / name))
    with pytest.raises(DataError) as refused:
        list(source.records(source.files(), ("zh", "en")))
    assert problem in str(refused.value)
    assert name in str(refused.value)


def test_of_a_corpus_rows_of_another_kind_or_source_are_passed_over(tmp_path: Path) -> None:
    rows = [
        {"text": "a document", "source": "wiki"},
        {"zh": "你好", "en": "hello", "source": "one"},
        {"zh": "再见", "en": "goodbye", "source": "two"},
    ]
    with gzip.open(tmp_path / "train-00000.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    every, one = Source(str(tmp_path)), Source(str(tmp_path), source="one")
    assert len(list(every.records(every.files(), ("zh", "en")))) == 2
    assert list(one.records(one.files(), ("zh", "en"))) == [("你好", "hello")]
    assert one.validation_files() == []
    with pytest.raises(DataError, match=r"has no train-\*\.jsonl\.gz"):
        Source(str(tmp_path.parent)).files()
    assert [line for line, _ in read_records(every.files()[0], ("text",))] == [1, 2, 3]


def test_the_same_rows_validate_however_the_files_are_ordered(tmp_path: Path) -> None:
    from ml_core.pretraining.stages.rows import read_parts

    first = write_jsonl(tmp_path / "first.jsonl", make_pairs(100, seed=1))
    second = write_jsonl(tmp_path / "second.jsonl", make_pairs(100, seed=2))
    sources = [Source(str(first)), Source(str(second))]
    names = ("zh", "en")
    there, back = (read_parts(each, names, 1000) for each in (sources, sources[::-1]))
    assert there.validation == back.validation
    assert len(there.validation) == 10
    held = {source for _, source in there.validation}
    assert all(row[1] not in held for rows in there.train for row in rows)
    assert there.train == back.train[::-1]


def test_a_part_of_the_rows_is_always_the_same_one() -> None:
    texts = [str(number) for number in range(2000)]
    half, more = Source("x", weight=0.5), Source("x", weight=2.5)
    taken = [text for text in texts if half.times(text)]
    assert 900 < len(taken) < 1100
    assert {more.times(text) for text in taken} == {3}
    assert {more.times(text) for text in texts if text not in taken} == {2}


def test_a_weight_says_how_often_a_row_is_seen() -> None:
    from ml_core.pretraining.stages.imitation import WeightedBuckets

    spans = ((10, 2.0), (100, 0.25), (4, 1.5))
    sampler = WeightedBuckets([5] * 114, spans, batch_size=8, seed=1)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        epochs.append(Counter(row for batch in batches for row in batch))
    for counts in epochs:
        assert [counts[row] for row in range(10)] == [2] * 10
        assert sum(counts[row] for row in range(10, 110)) == 25
        assert sum(counts[row] for row in range(110, 114)) == 6
        assert min(counts[row] for row in range(110, 114)) == 1
    assert epochs[0] != epochs[1]
    assert sampler.total_length == 5 * (20 + 25 + 6)


def test_a_teacher_reads_each_text_once(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was computed before a stop is not computed again, and the table is the same as one without."""
    from ml_core.models.embedding import EmbeddingPredictor
    from ml_core.pretraining.stages import teacher as module
    from ml_core.training.progress import Reporter

    monkeypatch.setattr(module, "_TEXTS_AT_ONCE", 20)
    texts = list(dict.fromkeys(row["en"] for row in make_pairs(60)))
    read: list[str] = []
    embed = EmbeddingPredictor.embed

    def counted(self, texts, **keywords):
        read.extend(texts)
        return embed(self, texts, **keywords)

    monkeypatch.setattr(EmbeddingPredictor, "embed", counted)
    silent = Reporter(lambda _: None, lambda: False)
    stopping = Reporter(lambda _: None, lambda: len(read) >= 40)

    def teacher(cache: str) -> module.Teacher:
        return module.Teacher(str(tiny_base), max_length=32, device="cpu", cache=tmp_path / cache)

    with pytest.raises(TrainingCancelled):
        teacher("cache").vectors([texts], stopping)
    assert read == texts[:40]
    taken_up = teacher("cache").vectors([texts], silent)
    # The second twenty were under way.
    assert read == texts[:40] + texts[20:]
    places = np.array([5, 0, len(texts) - 1])
    again = teacher("cache").vectors([texts], silent)
    assert len(read) == 20 + len(texts)
    whole = teacher("other").vectors([texts], silent)
    for vectors in (again, whole):
        assert np.array_equal(taken_up.gather(places), vectors.gather(places))
    straight = EmbeddingPredictor.from_base(tiny_base, max_length=32, device="cpu")
    assert np.abs(embed(straight, texts)[places] - whole.gather(places)).max() < 1e-3
    # Another length is another teacher.
    other = module.Teacher(str(tiny_base), max_length=8, device="cpu", cache=tmp_path / "cache")
    assert other.identity != teacher("cache").identity


def test_several_tables_count_through() -> None:
    from ml_core.pretraining.stages.teacher import Vectors

    tables = [np.full((count, 2), value, np.float16) for count, value in ((3, 1), (2, 2))]
    vectors = Vectors(tables)
    assert len(vectors) == 5
    assert vectors.gather(np.array([4, 0, 3, 2]))[:, 0].tolist() == [2, 1, 2, 1]


def test_a_report_finds_translations_and_gives_nothing_for_equal_vectors() -> None:
    teachers = np.eye(4, dtype=np.float32)
    report = build_imitation_report(teachers, teachers, teachers[[1, 0, 2, 3]])
    assert (report.matched, report.teacher_cosine, report.source_cosine) == (0.5, 1.0, 0.5)
    assert report.headline == "matched"
    same = np.ones((4, 4), np.float32) / 2
    assert build_imitation_report(same, teachers, same).matched == 0
    alone = build_imitation_report(same, teachers)
    assert (alone.headline, alone.teacher_cosine) == ("teacher_cosine", 0.5)
    assert alone.to_dict()["matched"] is None


def test_equal_texts_are_no_negatives_of_each_other(tiny_base: Path, tmp_path: Path) -> None:
    """Two rows with one translation: the contrastive term must not push the text from it."""
    import torch

    from ml_core.pretraining.stages.imitation import Imitation, Weights

    task = Imitation.__new__(Imitation)
    task._weights = Weights(contrast=1.0, temperature=0.05)
    vectors = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.1], [0.0, 1.0]]))
    batch = {
        "targets": torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        "keys": torch.tensor([0, 0, 1]),
        "text_keys": torch.tensor([0, 1, 2]),
    }
    assert float(task._contrast(vectors, batch)) < 0.01
    apart = batch | {"keys": torch.tensor([0, 1, 2])}
    assert float(task._contrast(vectors, apart)) > 0.3


def test_a_teacher_of_another_size_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertConfig, BertModel

    from ml_core.pretraining.stages.base import StageRun
    from ml_core.pretraining.stages.distil import DistilSettings, distil

    wide = tmp_path / "wide"
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(wide)
    config = BertConfig.from_pretrained(tiny_base)
    config.hidden_size, config.intermediate_size = 48, 64
    BertModel(config).save_pretrained(wide)
    texts = write_jsonl(tmp_path / "texts.jsonl", make_pairs(40))
    values = {"texts": str(texts), "column": "en", "teacher": str(wide), "device": "cpu"}
    stage = StageRun(tiny_base, tmp_path / "out", tmp_path / "work", tmp_path / "cache")
    with pytest.raises(ConfigError, match="has embeddings of 48 numbers, the model of 32"):
        distil(DistilSettings.from_mapping(values), stage)
    # A student whose tokenizer cuts texts into the same tokens may learn the states, another may not.
    student = make_student(tiny_base, tmp_path / "student")
    tokens = json.loads((student / "tokenizer.json").read_text(encoding="utf-8"))
    tokens["normalizer"]["lowercase"] = False
    (student / "tokenizer.json").write_text(json.dumps(tokens), encoding="utf-8")
    settings = DistilSettings.from_mapping(values | {"teacher": str(tiny_base), "hidden": 1.0})
    with pytest.raises(ConfigError, match=r"hidden: .* cuts texts into other tokens"):
        distil(settings, replace(stage, model=student))
