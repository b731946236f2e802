"""What our bilingual base knows beside the packaged English one and BM25, and what it is worth after fine-tuning.

Vectors are computed once for each encoder and kept in var/bench/base-vectors. Further model directories are measured
when `--models` or ROOTSTOCK_BASES names them or a folder of such. A row is measured again when the weights, the
vocabulary or the code of the measurement change; trainings, which take hours, only when their settings do.
"""

from __future__ import annotations

from typing import Any

from bench.base_tasks import fine_tuning, frozen
from bench.base_tasks.encoders import by_name, encoders
from bench.harness import Column, Progress, Row, Section, commit, fingerprint
from ml_core.models.bases import PACKAGED

_CODE = ("bench/base_tasks", "ml_core/models/embedding.py", "ml_core/models/tokenise.py")
_BM25 = "BM25 (jieba)"
_LINES = ("faq", "similarity", "bitext", *(f"probe {name}" for name in frozen.PROBES), "perplexity")
# What the issue asks of rootstock-mini, and what was reached before it was there.
_AIMS = {
    ("FAQ zh (E.SUN)", "Recall@1"): ("≥ .30", "MiniLM .058, spike .134"),
    ("FAQ zh (E.SUN)", "MRR@10"): (None, "MiniLM .095, spike .210"),
    ("FAQ zh (E.SUN)", "Recall@1, with BM25"): ("≥ .40", "BM25 .348, spike .361"),
    ("FAQ zh (E.SUN)", "MRR@10, with BM25"): (None, "BM25 .444, spike .458"),
    ("Tatoeba", "zh → en"): ("≥ .88", "MiniLM .175, spike .747"),
    ("Tatoeba", "en → zh"): ("≥ .88", "MiniLM .232, spike .746"),
    ("BANKING77, linear probe", "accuracy"): ("≥ .90", "MiniLM .932"),
    ("PhraseBank, linear probe", "accuracy"): (None, "MiniLM .777"),
    ("news, zh", "of the packaged one's speed"): ("≥ 1", None),
    ("size", "parameters, million"): ("≤ 25", None),
    ("size", "weights file, MB"): ("≤ 50", None),
    ("mean of the three, fine-tuned", "accuracy"): ("random + .05", None),
}


def configurations() -> list[dict[str, Any]]:
    """The frozen encoders, cheap lines first; then the trainings of all but the packaged one."""
    measured = encoders()
    code = fingerprint(_CODE)
    found: list[dict[str, Any]] = [{"line": "faq", "model": _BM25, "code": code}]
    found += [
        {"line": line, "model": each.name, "digest": each.digest, "code": code}
        for line in _LINES
        for each in measured
    ]
    reference = next(each for each in measured if each.name == PACKAGED)
    others = [each for each in measured if each.name != PACKAGED]
    found += [
        {
            "line": "english", "model": each.name, "digest": each.digest, "reference": reference.digest,
            "code": code,
        }
        for each in others
    ]  # fmt: skip
    found.append(
        {"line": "speed", "models": {each.name: each.digest for each in measured}, "code": code}
    )
    found += [
        {
            "line": "fine-tuning", "data": data, "weights": weights, "model": each.name,
            "digest": each.digest,
        }
        for data in fine_tuning.DATA
        for each in others
        for weights in fine_tuning.WEIGHTS
    ]  # fmt: skip
    return found


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The rows of one line for one model."""
    at = commit()
    if configuration["line"] == "speed":
        from bench.base_tasks import speed

        rows = speed.speed([by_name(name) for name in configuration["models"]], progress)
    elif configuration["model"] == _BM25:
        rows = frozen.word_faq(progress)
    else:
        rows = _of_encoder(configuration, progress)
    return [{"model": configuration.get("model"), **each, "commit": at} for each in rows]


def _of_encoder(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    encoder = by_name(configuration["model"])
    kind, _, name = str(configuration["line"]).partition(" ")
    match kind:
        case "faq":
            rows = frozen.faq(encoder, progress)
        case "similarity":
            rows = frozen.similarity(encoder, progress)
        case "bitext":
            rows = frozen.bitext(encoder, progress)
        case "probe":
            rows = frozen.probe(encoder, name, progress)
        case "perplexity":
            from bench.base_tasks import guessing

            rows = guessing.pseudo_perplexity(encoder, progress)
        case "english":
            rows = frozen.english(encoder, by_name(PACKAGED), progress)
        case _:
            data, weights = configuration["data"], configuration["weights"]
            rows = fine_tuning.fine_tuned(encoder, data, weights, progress)
    return rows


def summarise(rows: list[Row]) -> list[Row]:
    """The models one below the other in each figure, the aims beside them."""
    rows = rows + fine_tuning.averages(rows)
    order = {key: place for place, key in enumerate(dict.fromkeys(map(_figure, rows)))}
    found = []
    for each in sorted(rows, key=lambda each: order[_figure(each)]):
        aim, floor = _AIMS.get(_figure(each), (None, None))
        ours = each["model"] not in (PACKAGED, _BM25)
        found.append({**each, "aim": aim if ours else None, "floor": floor})
    return found


def _figure(row: Row) -> tuple[str, str]:
    return row["data"], row["figure"]


SECTION = Section(
    name="base",
    title="Base models: what they know before fine-tuning, and what that is worth after",
    columns=(
        Column("data", "data"),
        Column("figure", "figure"),
        Column("model", "model"),
        Column("value", "value", ".3f"),
        Column("low", "95 % from", ".3f"),
        Column("high", "to", ".3f"),
        Column("count", "examples"),
        Column("aim", "aim"),
        Column("floor", "tried before"),
        Column("seconds", "seconds", ".0f"),
        Column("commit", "commit"),
    ),
    configurations=configurations,
    measure=measure,
    sources=(),
    summarise=summarise,
    notes=(
        "Intervals: 95 % bootstrap, of the FAQ over entries with all their questions; of a mean of sets from theirs.",
        "With BM25: z-scores added, the weight chosen on the questions of the other entries, in five folds.",
        "A tie counts against the right entry. No figure: the model has no layers that guess words.",
        "Nothing here trained a base; probes and fine-tuning use the training parts of their sets.",
    ),
    packages=("torch", "transformers", "bm25s", "jieba", "scikit-learn"),
)
