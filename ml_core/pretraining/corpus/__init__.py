"""Corpora for pretraining: read, cleaned, judged, without copies and personal data, in shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.pretraining.corpus.config import CorpusConfig, Quality, Source
    from ml_core.pretraining.corpus.preparing import CorpusProgress, prepare_corpus
    from ml_core.pretraining.corpus.report import CorpusReport, SourceReport
    from ml_core.pretraining.corpus.rows import corpus_rows, corpus_texts

__all__ = [
    "CorpusConfig",
    "CorpusProgress",
    "CorpusReport",
    "Quality",
    "Source",
    "SourceReport",
    "corpus_rows",
    "corpus_texts",
    "prepare_corpus",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CorpusConfig": "config",
        "CorpusProgress": "preparing",
        "CorpusReport": "report",
        "Quality": "config",
        "Source": "config",
        "SourceReport": "report",
        "corpus_rows": "rows",
        "corpus_texts": "rows",
        "prepare_corpus": "preparing",
    },
)
