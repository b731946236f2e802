"""Texts on which an encoder is measured: of several lengths, in English and Chinese."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from ml_core.models.tokenise import TextEncoder
from ml_core.registry.artifact import CONFIG, TOKENIZER
from ml_core.serving.backends.base import BackendError, EncoderSource

_TEXTS = (
    "Where is my card?",
    "I was charged twice for the same payment, can you refund one of them?",
    "Why has my top-up of $250.00 not arrived after 3 days?",
    "How do I change my PIN?",
    "thanks, that worked!",
    "The app crashes every time I open it on my Pixel 7 (Android 14). Please fix.",
    "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in the corresponding period in 2007.",
    "Shares of the bank fell 4.2 % on Tuesday after the regulator opened an investigation.",
    "The company said it would cut about 1,200 jobs and close two of its plants by the end of the year.",
    "Net sales were flat.",
    "Great value, fits well, but the colour is not quite what the pictures show.",
    "Battery lasts two days. Would buy again.",
    "def area(radius): return 3.14159 * radius ** 2",
    "Visit https://example.com/help?id=42 or write to support@example.com.",
    "The committee, which had met four times since the spring, agreed that rates should stay where they are until "
    "inflation is seen to fall, although two of its nine members would have preferred a cut of a quarter point.",
    "A transformer reads all words of a sentence at once and learns which of them belong together.",
    "我的银行卡丢了，怎么挂失？",
    "请问国际转账一般需要几个工作日到账？",
    "该公司第三季度净利润同比增长百分之十二，超出市场预期。",
    "受监管调查消息影响，股价周二收盘下跌百分之四点二。",
    "物流很快，包装完好，就是颜色和图片有点差别。",
    "不好用，退货了。",
    "央行宣布下调存款准备金率，分析人士认为此举将向市场释放长期资金，有助于降低企业融资成本，支持实体经济发展。",
    "Bonjour, je voudrais fermer mon compte.",
)
_RANDOM_LENGTHS = (4, 8, 16, 32, 64, 96)
_LONGEST = 256


def probe_ids(source: EncoderSource) -> list[list[int]]:
    """The token ids of short texts and, joined from several, long ones; where there is no ``tokenizer.json`` beside the
    weights, ids drawn at random."""
    path = source.directory / TOKENIZER
    if not path.is_file():
        return random_ids(source)
    joined = [" ".join(_TEXTS[place : place + 4]) for place in range(0, len(_TEXTS), 4)]
    return [list(ids) for ids in _encoder(path, _limit(source))([*_TEXTS, *joined])]


def random_ids(source: EncoderSource) -> list[list[int]]:
    """Token ids drawn at random (always the same), between those that the tokenizer puts around a text."""
    config = _config(source)
    path = source.directory / TOKENIZER
    around = _encoder(path, _limit(source))([""])[0] if path.is_file() else []
    half = len(around) - len(around) // 2
    generator = random.Random(0)
    padding = config.get("pad_token_id")
    known = [number for number in range(int(config["vocab_size"])) if number != padding]
    most = max(1, _limit(source) - len(around))
    return [
        [*around[:half], *generator.choices(known, k=min(length, most)), *around[half:]]
        for length in _RANDOM_LENGTHS * 3
    ]


def _encoder(path: Path, longest: int) -> TextEncoder:
    try:
        return TextEncoder.from_file(path, max_length=longest)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise BackendError(f"{path}: cannot be used: {error}") from error


def _limit(source: EncoderSource) -> int:
    config = _config(source)
    places = config.get("max_position_embeddings")
    if not isinstance(places, int):
        return _LONGEST
    # RoBERTa's positions begin after the padding token's number.
    return min(_LONGEST, places - 1 - int(config.get("pad_token_id") or 0))


def _config(source: EncoderSource) -> dict[str, Any]:
    path = source.directory / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        int(values["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendError(f"{path}: cannot be used: {error}") from error
    found: dict[str, Any] = values
    return found
