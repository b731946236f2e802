"""The model card: what a person should know before using the model."""

from __future__ import annotations

from collections import Counter

from ml_core.evaluation.metrics import Interval
from ml_core.evaluation.report import Report
from ml_core.registry.artifact import Manifest
from ml_core.training.dataset import Dataset

_LANGUAGE_NAMES = {"en": "English", "zh": "Chinese"}
_FEW_EXAMPLES = 20


def write_card(manifest: Manifest, report: Report, dataset: Dataset) -> str:
    """The model card of a text classifier as Markdown, figures from the validation part."""
    config = manifest.config
    languages = [_LANGUAGE_NAMES.get(code, code) for code in manifest.languages]
    counts = Counter(example.label for example in dataset.train)
    lines = [
        "# Model card",
        "",
        f"A text classifier for {len(manifest.labels)} labels, fine-tuned from `{manifest.base}`.",
        "",
        f"- Task: {manifest.task}",
        f"- Languages it can read: {', '.join(languages) or 'none found'}",
        f"- Reads the first {manifest.max_length} tokens of a text",
        f"- Trained on {len(dataset.train):,} examples of `{config['train']}` "
        f"(SHA-256 `{dataset.train_sha256[:16]}…`)",
        f"- Validated on {report.count:,} examples of "
        + (f"`{config['validation']}`" if config["validation"] else "the same file, split off"),
        "",
        "## Quality on the validation part",
        "",
        "| measure | value | 95 % interval |",
        "|---|---:|---:|",
        f"| accuracy | {report.accuracy:.3f} | {_range(report.accuracy_interval)} |",
        f"| macro F1 | {report.macro_f1:.3f} | {_range(report.macro_f1_interval)} |",
        f"| weighted F1 | {report.weighted_f1:.3f} | |",
        f"| expected calibration error | {report.ece:.3f} | |",
        "",
        "| label | examples trained on | precision | recall | F1 | validated on |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {_cell(label)} | {counts[label]:,} | {scores.precision:.3f} | {scores.recall:.3f} | {scores.f1:.3f} "
            f"| {scores.support:,} |"
            for label, scores in report.per_label.items()
        ),
        "",
        "The best epoch was chosen on this same part, so expect slightly less on new texts.",
        "",
        "## Limits",
        "",
        "- It always answers with one of its labels, also for a text that fits none of them.",
        "- A text in a language not named above should not be given to it.",
    ]
    rare = [label for label in manifest.labels if counts[label] < _FEW_EXAMPLES]
    if rare:
        shown = ", ".join(_cell(label) for label in rare[:20]) + (" …" if len(rare) > 20 else "")
        lines.append(f"- Fewer than {_FEW_EXAMPLES} training examples: {shown}.")
    lines += [
        "",
        "## Training",
        "",
        *(f"- {key}: {value}" for key, value in config.items() if value is not None),
        "",
    ]
    return "\n".join(lines)


def _range(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
