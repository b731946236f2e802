"""A tiny base model, words that a tiny model can learn, and an actor."""

from __future__ import annotations

import random
from pathlib import Path

from rootstock.common.actors import Actor
from rootstock.modelhub import services
from rootstock.modelhub.models import Dataset, Snapshot

ACTOR = Actor("user", "01", "Ada")
WORDS = {
    "positive": ["rises", "gains", "record", "profit", "strong", "beats"],
    "negative": ["falls", "loses", "lawsuit", "deficit", "weak", "misses"],
    "neutral": ["meets", "publishes", "report", "schedule", "annual", "office"],
}
COMMON = ["the", "company", "today", "shares", "of", "a", "bank", "group", "quarter", "market"]
OPTIONS = {
    "epochs": 6,
    "learning_rate": 3e-3,
    "max_length": 64,
    "languages": ["en"],
    "batch_size": 16,
}


def make_examples(count: int, *, seed: int = 0) -> list[services.NewExample]:
    """Texts whose label can be told from their words."""
    generator = random.Random(seed)
    examples = []
    for number in range(count):
        label = sorted(WORDS)[number % 3]
        words = generator.choices(COMMON, k=generator.randint(6, 12))
        for _ in range(2):
            words.insert(generator.randint(0, len(words)), generator.choice(WORDS[label]))
        examples.append(services.NewExample(text=" ".join(words), label=label))
    return examples


def make_snapshot(name: str = "headlines", count: int = 180) -> Snapshot:
    """A data set with examples, frozen. Call it inside a scope."""
    dataset = services.dataset_create(name=name, actor=ACTOR)
    services.examples_add(dataset=dataset, examples=make_examples(count), actor=ACTOR)
    return services.snapshot_create(dataset=dataset, actor=ACTOR)


def make_dataset(name: str = "headlines", count: int = 30) -> Dataset:
    """A data set with examples. Call it inside a scope."""
    dataset = services.dataset_create(name=name, actor=ACTOR)
    services.examples_add(dataset=dataset, examples=make_examples(count), actor=ACTOR)
    return dataset


def write_tiny_base(path: Path) -> Path:
    """A two-layer BERT, 32 wide, random weights, with a vocabulary of the words above."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *COMMON]
    for label in sorted(WORDS):
        words += WORDS[label]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(path)
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
