"""A tiny bilingual world: every English word has one Chinese character, and a tiny teacher that reads English."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from ml_core_helpers import COMMON, WORDS

ENGLISH = [*COMMON, *(word for label in sorted(WORDS) for word in WORDS[label])]
CHINESE = "这公司今天股份的一银行集季市涨升录利强胜跌失诉亏弱错合布报程年办"
TRANSLATION = dict(zip(ENGLISH, CHINESE, strict=False))


def make_pairs(count: int, *, seed: int = 0) -> list[dict[str, str]]:
    """Rows of ``zh`` and ``en`` that say the same, word by word."""
    generator = random.Random(seed)
    rows = []
    for _ in range(count):
        words = generator.sample(ENGLISH, generator.randint(3, 9))
        rows.append({"zh": "".join(TRANSLATION[word] for word in words), "en": " ".join(words)})
    return rows


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> Path:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def make_student(teacher: Path, path: Path) -> Path:
    """The teacher with a row for each Chinese character and one for the token that hides a word."""
    from transformers import AutoModel, AutoTokenizer

    shutil.copytree(teacher, path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    tokenizer.add_tokens(list(CHINESE))
    tokenizer.save_pretrained(path)
    model = AutoModel.from_pretrained(path)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(path)
    return path


def write_dictionary(path: Path) -> Path:
    """What each character means, as CC-CEDICT says it."""
    lines = [f"{character} {character} [x] /{word}/" for word, character in TRANSLATION.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
