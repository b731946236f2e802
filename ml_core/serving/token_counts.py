"""How many tokens texts are to a model, for usage that is accounted for. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

_TOKENIZER = "tokenizer.json"


def count_tokens(directory: Path | str, texts: Sequence[str], *, limit: int | None = None) -> int:
    """Tokens of all ``texts`` as the tokenizer in a model's directory makes them, at most ``limit`` of each.

    Raises FileNotFoundError where the directory has no tokenizer.json.
    """
    path = Path(directory) / _TOKENIZER
    tokenizer = _tokenizer(path, path.stat().st_mtime_ns)
    lengths = (len(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(texts)))
    return sum(min(length, limit) if limit else length for length in lengths)


@lru_cache(maxsize=8)
def _tokenizer(path: Path, _changed: int) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
