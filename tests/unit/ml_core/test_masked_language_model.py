"""Continued pretraining: blocks, hidden words, a base for other tasks, and pretraining within a fine-tuning run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ml_core.data import DataError
from ml_core.registry import Artifact
from ml_core.training import ConfigError, Progress, TrainConfig, TrainingCancelled, train


@pytest.fixture(scope="module")
def masked_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder with a token that hides a word."""
    import shutil

    from transformers import AutoModel, AutoTokenizer

    path = Path(shutil.copytree(tiny_base, tmp_path_factory.mktemp("masked") / "base"))
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    tokenizer.save_pretrained(path)
    model = AutoModel.from_pretrained(path)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts that say two words again and again: what is hidden can be told from the others."""
    generator = random.Random(3)
    pairs = ["the company", "shares falls", "bank profit", "market gains", "group report"]
    lines = [" ".join([generator.choice(pairs)] * generator.randint(4, 8)) for _ in range(400)]
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def options(base: Path, texts: Path, out: Path, **changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "task": "masked-language-model",
        "base": str(base),
        "train": texts,
        "out": out,
        "max_length": 24,
        "epochs": 8,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "languages": ("en",),
        "device": "cpu",
    }
    return TrainConfig(**values | changes)


@pytest.fixture(scope="module")
def pretrained(
    masked_base: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    return train(options(masked_base, texts, tmp_path_factory.mktemp("models") / "mlm"))


def test_it_learns_what_stands_beside_what(pretrained: Artifact, texts: Path) -> None:
    from ml_core.tasks import evaluate_artifact
    from ml_core.tasks.masked_language_model import MaskedLanguageModelPredictor

    metrics = pretrained.manifest.metrics
    assert metrics["headline"] == "log_likelihood"
    assert metrics["token_accuracy"] > 0.5
    predictor = MaskedLanguageModelPredictor.load(pretrained, device="cpu")
    [filled, nothing] = predictor.predict_rows(
        [{"text": "bank profit bank [MASK] bank profit bank profit"}, {"text": "the company"}]
    )
    assert filled["guesses"][0][0]["token"] == "profit"
    assert nothing == {"guesses": []}
    again = evaluate_artifact(pretrained, texts, device="cpu")
    assert again.log_likelihood == pytest.approx(metrics["log_likelihood"], abs=0.3)


def test_it_is_a_base_for_other_tasks_and_for_itself(
    pretrained: Artifact, texts: Path, train_csv: Path, tmp_path: Path
) -> None:
    from transformers import AutoModel, AutoModelForMaskedLM

    inner = AutoModelForMaskedLM.from_pretrained(pretrained.path)
    outer = AutoModel.from_pretrained(pretrained.path)
    same = outer.embeddings.word_embeddings.weight
    assert same.equal(inner.bert.embeddings.word_embeddings.weight)
    assert inner.cls.predictions.decoder.weight.equal(same)  # tied
    classifier = train(
        TrainConfig(
            train=train_csv, base=str(pretrained.path), out=tmp_path / "classifier", max_length=64,
            learning_rate=3e-3, epochs=6, languages=("en",), device="cpu",
        )
    )  # fmt: skip
    assert classifier.manifest.parent == pretrained.digest
    assert classifier.manifest.metrics["accuracy"] > 0.4
    on = train(options(pretrained.path, texts, tmp_path / "on", epochs=1, learning_rate=1e-4))
    # The head that was trained is kept, so that it goes on where it was.
    assert on.manifest.metrics["log_likelihood"] > (
        pretrained.manifest.metrics["log_likelihood"] - 0.3
    )


def test_a_run_taken_up_ends_as_an_unbroken_one(
    masked_base: Path, texts: Path, tmp_path: Path
) -> None:
    """What is hidden follows from the epoch and the block, not from where the run began."""
    whole = train(options(masked_base, texts, tmp_path / "whole", epochs=3))
    broken = options(
        masked_base, texts, tmp_path / "broken", epochs=3, checkpoints=tmp_path / "points",
        checkpoint_minutes=0,
    )  # fmt: skip
    seen: list[Progress] = []
    with pytest.raises(TrainingCancelled):
        train(
            broken,
            on_progress=seen.append,
            should_stop=lambda: any(progress.epoch > 1.3 for progress in seen),
        )
    assert train(broken).manifest.metrics == whole.manifest.metrics


def test_blocks_keep_texts_whole_and_apart(masked_base: Path) -> None:
    from transformers import AutoTokenizer

    from ml_core.tasks.masking import blocks

    tokenizer = AutoTokenizer.from_pretrained(masked_base)
    texts = ["the company", "shares of a bank", "market " * 30, "group"]
    found = blocks(texts, tokenizer, width=12)
    shown = [tokenizer.decode(block["input_ids"]) for block in found]
    assert shown[0] == "[CLS] the company [SEP] shares of a bank [SEP]"
    assert shown[-1] == "[CLS] group [SEP]"
    assert sum(text.count("market") for text in shown) == 30
    assert all(block["length"] <= 12 for block in found)


def test_whole_words_are_hidden_others_in_each_epoch() -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from ml_core.tasks.masking import IGNORED, blocks, hide

    characters = sorted(set("我们在北京大学学习人工智能今天天气很好"))
    words = ["[PAD]", "[UNK]", "[MASK]", "play", "##ing", "foot", "##ball", *characters]
    inner = Tokenizer(
        models.WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]")
    )
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]"
    )
    [block] = blocks(["playing football", "我们在北京大学学习人工智能"], tokenizer, width=64)
    groups = {}
    for place, word in enumerate(block["words"]):
        groups.setdefault(word, []).append(place)
    assert [len(each) for each in groups.values()][:2] == [2, 2]  # play ##ing, foot ##ball
    assert len(groups) < 2 + 13 - 4  # Chinese words of several characters
    hidden = set()
    shares = []
    for epoch in range(300):
        ids, labels = hide(
            block, rate=0.15, mask_id=2, ordinary=range(3, len(words)),
            generator=random.Random(epoch),
        )  # fmt: skip
        chosen = {place for place, label in enumerate(labels) if label != IGNORED}
        assert chosen
        for places in groups.values():
            assert chosen.issuperset(places) or chosen.isdisjoint(places)
        assert all(labels[place] == block["input_ids"][place] for place in chosen)
        hidden.add(frozenset(chosen))
        shares.append(sum(ids[place] == 2 for place in chosen) / len(chosen))
    assert len(hidden) > 5
    assert 0.7 < sum(shares) / len(shares) < 0.9


def test_a_classifier_reads_the_users_texts_first(
    masked_base: Path, texts: Path, train_csv: Path, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    config = {
        "train": train_csv, "base": str(masked_base), "max_length": 64, "learning_rate": 3e-3, "epochs": 6,
        "languages": ("en",), "device": "cpu", "pretrain_epochs": 2, "batch_size": 16,
    }  # fmt: skip
    artifact = train(
        TrainConfig(**config, unlabelled=texts, out=tmp_path / "a"), on_progress=seen.append
    )
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == ["load", "tokenise", "pretrain", "train", "evaluate", "save"]
    assert artifact.manifest.metrics["accuracy"] > 0.6
    record = artifact.manifest.options["pretraining"]
    assert record["texts"] > 200
    assert record["perplexity"] > 1
    assert "guessed hidden words of `texts.txt`" in artifact.card
    # Without a file it reads the texts of the training rows.
    own = train(TrainConfig(**config, out=tmp_path / "b"))
    assert own.manifest.options["pretraining"]["texts"] <= 240


def test_pretraining_within_a_run_is_not_done_twice(
    masked_base: Path, texts: Path, train_csv: Path, tmp_path: Path
) -> None:
    config = {
        "train": train_csv, "base": str(masked_base), "max_length": 64, "learning_rate": 3e-3, "epochs": 2,
        "languages": ("en",), "device": "cpu", "pretrain_epochs": 1, "unlabelled": texts,
    }  # fmt: skip
    whole = train(TrainConfig(**config, out=tmp_path / "whole"))
    points = {"checkpoints": tmp_path / "points", "checkpoint_minutes": 0.0}
    seen: list[Progress] = []
    with pytest.raises(TrainingCancelled):
        train(
            TrainConfig(**config, out=tmp_path / "broken", **points),
            on_progress=seen.append,
            should_stop=lambda: any(
                progress.phase == "train" and progress.step > 2 for progress in seen
            ),
        )
    seen.clear()
    again = train(TrainConfig(**config, out=tmp_path / "broken", **points), on_progress=seen.append)
    assert not any(progress.phase == "pretrain" for progress in seen)
    assert again.manifest.metrics == whole.manifest.metrics
    assert again.manifest.options == whole.manifest.options
    assert not (tmp_path / "points").exists()


def test_what_cannot_be_is_refused(tiny_base: Path, masked_base: Path, tmp_path: Path) -> None:
    from ml_core.models import BaseModelError

    one = tmp_path / "one.txt"
    one.write_text("the company\nthe company\n", "utf-8")
    with pytest.raises(DataError, match="none can be split off"):
        train(options(masked_base, one, tmp_path / "a"))
    two = tmp_path / "two.jsonl"
    two.write_text(json.dumps({"text": "the"}) + "\n" + json.dumps({"body": "a"}) + "\n", "utf-8")
    with pytest.raises(DataError, match="line 2"):
        train(options(masked_base, two, tmp_path / "a"))
    two.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("the", "a")), "utf-8")
    with pytest.raises(BaseModelError, match="hides a word"):
        train(options(tiny_base, two, tmp_path / "a"))
    with pytest.raises(ConfigError, match="is more than the 128"):
        train(options(masked_base, two, tmp_path / "a", max_length=500))
