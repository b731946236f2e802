"""The settings of each line of the benchmark: what a user would put into the YAML file."""

from __future__ import annotations

from typing import Any

import yaml

from rootstock.launch.bootstrap import ROOT

Options = dict[str, Any]

_FIXED: Options = {"keep": "last", "early_stopping_patience": 0, "calibration": "none"}

BANKING_FULL: Options = {
    **_FIXED, "head_start": "fitted", "epochs": 8, "learning_rate": 1.5e-4, "r_drop": 1.0,
    "weight_averaging": "ema", "max_length": 64,
}  # fmt: skip
BANKING_FEW: Options = {
    **_FIXED, "head_start": "fitted", "label_rows": True, "epochs": 8, "learning_rate": 1e-4, "max_length": 64,
}  # fmt: skip
# To .935 as fast as can be.
BANKING_FAST: Options = {
    **_FIXED, "head_start": "fitted", "epochs": 4, "learning_rate": 2e-4, "max_length": 64,
}  # fmt: skip
CONTINUAL: Options = {
    **_FIXED,
    "head_start": "random",
    "epochs": 4,
    "learning_rate": 2e-4,
    "max_length": 64,
}
CONTINUAL_WAYS: dict[str, Options] = {
    "naive": {},
    "replay": {
        "replay_fraction": 0.05,
        "replay_share": 0.5,
        "distillation": 1.0,
        "learning_rate": 1e-4,
    },
}
CLINC: Options = {
    "head_start": "fitted", "epochs": 5, "learning_rate": 1.5e-4, "max_length": 48, "r_drop": 1.0,
    "out_of_scope_score": "combined",
}  # fmt: skip
PHRASEBANK: Options = {
    **_FIXED, "head_start": "fitted", "epochs": 5, "learning_rate": 2e-4, "layer_decay": 0.9, "r_drop": 1.0,
    "weight_averaging": "ema", "max_length": 96,
}  # fmt: skip
TOPICS: Options = {"epochs": 3, "max_length": 128}
TOPICS_RANDOM: Options = {
    "epochs": 8,
    "max_length": 128,
    "weights": "random",
    "learning_rate": 5e-4,
}


def shipped(name: str) -> Options:
    """A recipe of docs/recipes."""
    found: Options = yaml.safe_load(
        (ROOT / f"docs/recipes/{name}.yaml").read_text(encoding="utf-8")
    )
    return found


EFFICIENT: dict[str, Options] = {
    "full": {},
    "lora": {"method": "lora"},
    "adalora": {"method": "adalora"},
    "adapter": {"method": "adapter"},
    "prefix": {"method": "prefix"},
    "prompt": {"method": "prompt"},
}
# On and off at 10-shot BANKING77: the plain recipe, and what each method changes in it.
PLAIN: Options = {**_FIXED, "epochs": 8, "learning_rate": 2e-4, "max_length": 64}
ON: dict[str, Options] = {
    "warm-up 0": {"warmup_ratio": 0.0},
    "cosine schedule": {"schedule": "cosine"},
    "no weight decay": {"weight_decay": 0.0},
    "head rate x5": {"head_learning_rate": 1e-3},
    "layer-wise decay": {"layer_decay": 0.85},
    "dropout 0": {"dropout": 0.0},
    "dropout 0.3": {"dropout": 0.3},
    "label smoothing": {"label_smoothing": 0.1},
    "accumulation 4 x 8": {"batch_size": 8, "gradient_accumulation": 4},
    "no clipping": {"clip_norm": 0.0},
    "activation checkpointing": {"activation_checkpointing": True},
    "bfloat16": {"precision": "bfloat16"},
    "head fitted": {"head_start": "fitted"},
    "contrastive first": {"contrastive_epochs": 8, "batch_size": 64},
    "contrastive first, head fitted": {
        "contrastive_epochs": 8, "batch_size": 64, "head_start": "fitted", "epochs": 4,
    },
    "label names as rows": {"label_rows": True},
    "label names as head": {"head_start": "labels"},
    "label names, no rows (zero-shot)": {"head_start": "labels", "epochs": 0},
    "FGM": {"adversarial": "fgm"},
    "PGD": {"adversarial": "pgd"},
    "R-Drop": {"r_drop": 1.0},
    "mixup": {"mixup": 0.4},
    "EMA": {"weight_averaging": "ema"},
    "SWA": {"weight_averaging": "swa"},
    "ensemble of 3 (soup)": {"ensemble": 3},
    "EDA": {"augmentation": ["synonym", "insertion", "swap", "deletion"]},
    "synonyms": {"augmentation": ["synonym"]},
    "typing errors": {"augmentation": ["typo"]},
}  # fmt: skip
# These read the other training rows without their labels.
ON_UNLABELLED: dict[str, Options] = {
    "continued pretraining": {"pretrain_epochs": 1},
    "label propagation": {"label_propagation": True},
    "pseudo-labels": {"pseudo_labels": True, "pseudo_label_precision": 0.9},
}
# These choose by 770 further rows that are not learned from.
ON_VALIDATED: dict[str, Options] = {
    "early stopping": {"epochs": 20, "keep": "best", "early_stopping_patience": 2},
    "rules": {"rules": True},
}
# What somebody at the bank would write down in ten minutes.
RULES: list[Options] = [
    {"label": label, "phrases": phrases}
    for label, phrases in {
        "apple_pay_or_google_pay": ["apple pay", "google pay"],
        "pin_blocked": ["pin is blocked", "pin blocked", "blocked my pin", "unblock my pin"],
        "change_pin": ["change my pin", "change pin"],
        "passcode_forgotten": ["passcode"],
        "contactless_not_working": ["contactless"],
        "age_limit": ["how old", "age limit", "minimum age"],
        "terminate_account": ["close my account", "delete my account"],
        "edit_personal_details": ["change my address", "new address", "change my name"],
        "visa_or_mastercard": ["visa or mastercard"],
        "verify_source_of_funds": ["source of funds", "source of my funds"],
        "lost_or_stolen_phone": ["lost my phone", "stolen phone", "phone was stolen"],
        "lost_or_stolen_card": ["lost my card", "stolen card", "card was stolen"],
        "card_swallowed": ["swallowed", "ate my card", "kept my card"],
        "top_up_by_cash_or_cheque": ["top up with cash", "top up by cheque"],
    }.items()
]
SEARCH_TRIALS = 5
SEARCH_SPACE: Options = {
    "learning_rate": {"low": 5e-5, "high": 5e-4, "log": True},
    "head_start": ["random", "fitted"],
    "label_rows": [True, False],
}
PROMPT_BASE: Options = {"task": "masked-language-model", "epochs": 3, "max_length": 96}
PROMPT_WORDS = {
    "positive": ["good", "up"],
    "negative": ["bad", "down"],
    "neutral": ["neutral", "same"],
}
PROMPTS: dict[str, Options] = {
    "plain": {"epochs": 20},
    "prompt": {"epochs": 20, "prompt_template": "{text} This is {mask}."},
    "prompt, no rows (zero-shot)": {
        "epochs": 0,
        "prompt_template": "{text} This is {mask}.",
        "prompt_prior": "texts",
    },
}
