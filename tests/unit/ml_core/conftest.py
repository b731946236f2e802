"""A tiny base model with random weights, tiny data, and an artefact trained from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ml_core_helpers import COMMON, WORDS, make_rows, write_csv

from ml_core.registry import Artifact


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT, 32 wide, with a vocabulary of the words above."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("tiny") / "base"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *COMMON]
    for label in sorted(WORDS):
        words += WORDS[label]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    fast.save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def train_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("data") / "train.csv", make_rows(240))


@pytest.fixture(scope="session")
def test_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("data") / "test.csv", make_rows(90, seed=1))


@pytest.fixture(scope="session")
def tiny_options(tiny_base: Path, train_csv: Path) -> dict[str, object]:
    """Options of a run of seconds that learns the task."""
    return {
        "train": train_csv,
        "base": str(tiny_base),
        "max_length": 64,
        "learning_rate": 3e-3,
        "epochs": 6,
        "languages": ("en",),
        "device": "cpu",
    }


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory, tiny_options: dict[str, object]) -> Artifact:
    """A trained artefact; read it, do not change it."""
    from ml_core.training import TrainConfig, train

    out = tmp_path_factory.mktemp("artifacts") / "tiny"
    return train(TrainConfig(**tiny_options, out=out))


@pytest.fixture
def artifact_copy(artifact: Artifact, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(artifact.path, tmp_path / "copy"))
