"""The options of training in the language of the page.

`ml_core` knows no interface: its options have a technical name and an English help. The helps are found for translation
where they are declared; the names by which people know options, groups and choices are here.
"""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, pgettext_lazy

from ml_core.training import Option, training_options

_GROUPS: dict[str, str | Promise] = {
    "Data": gettext_lazy("Data"),
    "Model": gettext_lazy("Model"),
    "Optimisation": gettext_lazy("Optimisation"),
    "Trained weights": gettext_lazy("Trained weights"),
    "Regularisation": gettext_lazy("Regularisation"),
    "More rows": gettext_lazy("More rows"),
    "Few examples": gettext_lazy("Few examples"),
    "Out of scope": gettext_lazy("Out of scope"),
    "Going on from a version": gettext_lazy("Going on from a version"),
    "Matching": gettext_lazy("Matching"),
    "Tagging": gettext_lazy("Tagging"),
    "Generation": gettext_lazy("Generation"),
    "Pretraining": gettext_lazy("Pretraining"),
    "Images": gettext_lazy("Images"),
    "Run": gettext_lazy("Run"),
}

_LABELS: dict[str, str | Promise] = {
    # Data
    "train": pgettext_lazy("training option", "Training file"),
    "validation": pgettext_lazy("training option", "Validation file"),
    "text_column": pgettext_lazy("training option", "Text column"),
    "label_column": pgettext_lazy("training option", "Label column"),
    "validation_fraction": pgettext_lazy("training option", "Validation part"),
    "max_length": pgettext_lazy("training option", "Longest text"),
    "class_weighting": pgettext_lazy("training option", "Weights of the labels"),
    "languages": pgettext_lazy("training option", "Languages"),
    # Model
    "task": pgettext_lazy("training option", "Task"),
    "base": pgettext_lazy("training option", "Base model"),
    "weights": pgettext_lazy("training option", "Initial weights"),
    "calibration": pgettext_lazy("training option", "Calibration"),
    "dropout": pgettext_lazy("training option", "Dropout"),
    # Optimisation
    "epochs": pgettext_lazy("training option", "Epochs"),
    "batch_size": pgettext_lazy("training option", "Batch size"),
    "gradient_accumulation": pgettext_lazy("training option", "Gradient accumulation"),
    "optimiser": pgettext_lazy("training option", "Optimiser"),
    "learning_rate": pgettext_lazy("training option", "Learning rate"),
    "head_learning_rate": pgettext_lazy("training option", "Learning rate of the new layers"),
    "layer_decay": pgettext_lazy("training option", "Layer-wise learning rate decay"),
    "weight_decay": pgettext_lazy("training option", "Weight decay"),
    "schedule": pgettext_lazy("training option", "Learning rate schedule"),
    "warmup_ratio": pgettext_lazy("training option", "Warm-up"),
    "clip_norm": pgettext_lazy("training option", "Gradient clipping"),
    "label_smoothing": pgettext_lazy("training option", "Label smoothing"),
    "keep": pgettext_lazy("training option", "Weights to keep"),
    "early_stopping_patience": pgettext_lazy("training option", "Early stopping"),
    # Trained weights
    "method": pgettext_lazy("training option", "Fine-tuning method"),
    "lora_rank": pgettext_lazy("training option", "LoRA rank"),
    "lora_alpha": pgettext_lazy("training option", "LoRA alpha"),
    "lora_dropout": pgettext_lazy("training option", "LoRA dropout"),
    "lora_rank_stabilised": pgettext_lazy("training option", "Rank-stabilised LoRA"),
    "target_modules": pgettext_lazy("training option", "Target modules"),
    "prefix_length": pgettext_lazy("training option", "Prefix length"),
    "prompt_length": pgettext_lazy("training option", "Prompt length"),
    "adapter_size": pgettext_lazy("training option", "Adapter width"),
    "adapter_places": pgettext_lazy("training option", "Places of the adapters"),
    "merge_adapter": pgettext_lazy("training option", "Merge what was learned"),
    # Regularisation
    "adversarial": pgettext_lazy("training option", "Adversarial training"),
    "adversarial_epsilon": pgettext_lazy("training option", "Size of the perturbation"),
    "adversarial_steps": pgettext_lazy("training option", "PGD steps"),
    "r_drop": pgettext_lazy("training option", "R-Drop"),
    "mixup": pgettext_lazy("training option", "Mixup"),
    "weight_averaging": pgettext_lazy("training option", "Weight averaging"),
    "ensemble": pgettext_lazy("training option", "Ensemble"),
    "ema_decay": pgettext_lazy("training option", "EMA decay"),
    # More rows
    "augmentation": pgettext_lazy("training option", "Data augmentation"),
    "augmentation_per_row": pgettext_lazy("training option", "Variants of a row"),
    "augmentation_strength": pgettext_lazy("training option", "Augmentation strength"),
    "synonyms": pgettext_lazy("training option", "Synonyms"),
    "pseudo_labels": pgettext_lazy("training option", "Pseudo-labels"),
    "pseudo_label_precision": pgettext_lazy("training option", "Precision of pseudo-labels"),
    "label_propagation": pgettext_lazy("training option", "Label propagation"),
    "propagation_share": pgettext_lazy("training option", "Part of the texts taken"),
    "rules": pgettext_lazy("training option", "Rules"),
    # Few examples
    "head_start": pgettext_lazy("training option", "Start of the last layer"),
    "label_rows": pgettext_lazy("training option", "Labels as rows"),
    "label_template": pgettext_lazy("training option", "Label template"),
    "label_descriptions": pgettext_lazy("training option", "Descriptions of the labels"),
    "prompt_template": pgettext_lazy("training option", "Prompt"),
    "verbalisers": pgettext_lazy("training option", "Words of the labels"),
    "prompt_prior": pgettext_lazy("training option", "Prior of the labels"),
    "contrastive_epochs": pgettext_lazy("training option", "Contrastive epochs"),
    "contrastive_temperature": pgettext_lazy("training option", "Contrastive temperature"),
    "contrastive_learning_rate": pgettext_lazy("training option", "Contrastive learning rate"),
    # Out of scope
    "out_of_scope_score": pgettext_lazy("training option", "Out-of-scope score"),
    "out_of_scope": pgettext_lazy("training option", "Out-of-scope texts"),
    "in_scope_accuracy": pgettext_lazy("training option", "In-scope accuracy to keep"),
    # Going on from a version
    "previous": pgettext_lazy("training option", "Previous version"),
    "replay": pgettext_lazy("training option", "Replay"),
    "replay_fraction": pgettext_lazy("training option", "Replayed part of the earlier rows"),
    "replay_share": pgettext_lazy("training option", "Replayed share of an epoch"),
    "distillation": pgettext_lazy("training option", "Distillation"),
    "distillation_temperature": pgettext_lazy("training option", "Distillation temperature"),
    "ewc": pgettext_lazy("training option", "Elastic weight consolidation"),
    "earlier": pgettext_lazy("training option", "Earlier snapshots"),
    # Matching
    "pair_loss": pgettext_lazy("training option", "Loss of pairs"),
    "pair_temperature": pgettext_lazy("training option", "Temperature of pairs"),
    "triplet_margin": pgettext_lazy("training option", "Triplet margin"),
    "matryoshka": pgettext_lazy("training option", "Matryoshka embeddings"),
    "rerank_loss": pgettext_lazy("training option", "Loss of reranking"),
    "documents_per_query": pgettext_lazy("training option", "Documents of a query"),
    "items": pgettext_lazy("training option", "Items"),
    "item_ids": pgettext_lazy("training option", "Vectors of the items"),
    "item_adaptor": pgettext_lazy("training option", "Item adaptor"),
    "sequence_length": pgettext_lazy("training option", "Sequence length"),
    "sequence_width": pgettext_lazy("training option", "Sequence width"),
    "sequence_layers": pgettext_lazy("training option", "Sequence layers"),
    "sequence_heads": pgettext_lazy("training option", "Sequence attention heads"),
    "sampled_items": pgettext_lazy("training option", "Sampled items"),
    # Tagging
    "case_features": pgettext_lazy("training option", "Case of the words"),
    "gazetteer": pgettext_lazy("training option", "Gazetteer"),
    # Generation
    "architecture": pgettext_lazy("training option", "Architecture"),
    "layers": pgettext_lazy("training option", "Layers"),
    "hidden_size": pgettext_lazy("training option", "Hidden size"),
    "heads": pgettext_lazy("training option", "Attention heads"),
    "vocabulary_size": pgettext_lazy("training option", "Vocabulary size"),
    "replies": pgettext_lazy("training option", "Replies to learn"),
    "packing": pgettext_lazy("training option", "Packing"),
    "max_new_tokens": pgettext_lazy("training option", "Longest reply"),
    "beams": pgettext_lazy("training option", "Beams"),
    "temperature": pgettext_lazy("training option", "Sampling temperature"),
    "top_p": pgettext_lazy("training option", "Top-p"),
    "no_repeat_ngram": pgettext_lazy("training option", "No repeated n-grams"),
    "judged_replies": pgettext_lazy("training option", "Judged replies"),
    "choose_by": pgettext_lazy("training option", "Choose the best epoch by"),
    # Pretraining
    "masking": pgettext_lazy("training option", "Masking"),
    "pretrain_epochs": pgettext_lazy("training option", "Pretraining epochs"),
    "unlabelled": pgettext_lazy("training option", "Unlabelled texts"),
    "pretrain_learning_rate": pgettext_lazy("training option", "Pretraining learning rate"),
    # Images
    "image_architecture": pgettext_lazy("training option", "Image architecture"),
    "resnet_width": pgettext_lazy("training option", "ResNet width"),
    "image_size": pgettext_lazy("training option", "Image size"),
    "crop_padding": pgettext_lazy("training option", "Random crop"),
    "horizontal_flip": pgettext_lazy("training option", "Horizontal flip"),
    "erase": pgettext_lazy("training option", "Random erasing"),
    # Run
    "out": pgettext_lazy("training option", "Output directory"),
    "overwrite": pgettext_lazy("training option", "Overwrite"),
    "seed": pgettext_lazy("training option", "Random seed"),
    "device": pgettext_lazy("training option", "Device"),
    "precision": pgettext_lazy("training option", "Number format"),
    "activation_checkpointing": pgettext_lazy("training option", "Activation checkpointing"),
    "sharding": pgettext_lazy("training option", "Sharding"),
    "checkpoints": pgettext_lazy("training option", "Checkpoints"),
    "checkpoint_minutes": pgettext_lazy("training option", "Minutes between checkpoints"),
    "reporting": pgettext_lazy("training option", "Reporting"),
    "reporting_directory": pgettext_lazy("training option", "TensorBoard directory"),
}

# "choice", or "option.choice" where the same word means something else.
_CHOICES: dict[str, str | Promise] = {
    "none": pgettext_lazy("training choice", "None"),
    "auto": pgettext_lazy("training choice", "Automatic"),
    "all": pgettext_lazy("training choice", "All"),
    "last": pgettext_lazy("training choice", "Last"),
    "on": pgettext_lazy("training choice", "On"),
    "off": pgettext_lazy("training choice", "Off"),
    "random": pgettext_lazy("training choice", "Random"),
    "fitted": pgettext_lazy("training choice", "Fitted"),
    "balanced": pgettext_lazy("training choice", "Balanced"),
    "pretrained": pgettext_lazy("training choice", "Pretrained"),
    "adamw": "AdamW",
    "sgd": "SGD",
    "schedule.linear": pgettext_lazy("training choice", "Linear decay"),
    "schedule.cosine": pgettext_lazy("training choice", "Cosine decay"),
    "constant": pgettext_lazy("training choice", "Constant"),
    "polynomial": pgettext_lazy("training choice", "Polynomial decay"),
    "inverse_sqrt": pgettext_lazy("training choice", "Inverse square root"),
    "keep.best": pgettext_lazy("training choice", "Best epoch"),
    "keep.last": pgettext_lazy("training choice", "Last epoch"),
    "method.full": pgettext_lazy("training choice", "All weights"),
    "lora": "LoRA",
    "adalora": "AdaLoRA",
    "prefix": pgettext_lazy("training choice", "Prefix tuning"),
    "prompt": pgettext_lazy("training choice", "Prompt tuning"),
    "adapter": pgettext_lazy("training choice", "Bottleneck adapters"),
    "head": pgettext_lazy("training choice", "Last layers only"),
    "both": pgettext_lazy("training choice", "Both"),
    "feed-forward": pgettext_lazy("training choice", "Feed-forward only"),
    "fgm": "FGM",
    "pgd": "PGD",
    "ema": pgettext_lazy("training choice", "Exponential moving average"),
    "swa": pgettext_lazy("training choice", "Stochastic weight averaging"),
    "synonym": pgettext_lazy("training choice", "Synonym replacement"),
    "insertion": pgettext_lazy("training choice", "Random insertion"),
    "swap": pgettext_lazy("training choice", "Random swap"),
    "deletion": pgettext_lazy("training choice", "Random deletion"),
    "typo": pgettext_lazy("training choice", "Typos"),
    "token": pgettext_lazy("training choice", "Token replacement"),
    "mention": pgettext_lazy("training choice", "Mention replacement"),
    "shuffle": pgettext_lazy("training choice", "Shuffling within segments"),
    "labels": pgettext_lazy("training choice", "From the labels' words"),
    "content-free": pgettext_lazy("training choice", "Content-free"),
    "texts": pgettext_lazy("training choice", "Mean over the training texts"),
    "max_probability": pgettext_lazy("training choice", "Largest probability"),
    "margin": pgettext_lazy("training choice", "Margin"),
    "entropy": pgettext_lazy("training choice", "Entropy"),
    "energy": pgettext_lazy("training choice", "Energy"),
    "mahalanobis": pgettext_lazy("training choice", "Mahalanobis distance"),
    "knn": pgettext_lazy("training choice", "Nearest neighbours"),
    "combined": pgettext_lazy("training choice", "All of them combined"),
    "out_of_scope_score.best": pgettext_lazy("training choice", "The one that tells best"),
    "contrastive": pgettext_lazy("training choice", "Contrastive (InfoNCE)"),
    "triplet": pgettext_lazy("training choice", "Triplet"),
    "cosent": "CoSENT",
    "pair_loss.cosine": pgettext_lazy("training choice", "Cosine similarity"),
    "pairs": pgettext_lazy("training choice", "Pair by pair"),
    "list": pgettext_lazy("training choice", "List by list"),
    "added": pgettext_lazy("training choice", "Added to the text"),
    "item_ids.none": pgettext_lazy("training choice", "Text only"),
    "item_adaptor.linear": pgettext_lazy("training choice", "Linear layer"),
    "mlp": pgettext_lazy("training choice", "Multilayer perceptron"),
    "decoder": pgettext_lazy("training choice", "Decoder"),
    "encoder-decoder": pgettext_lazy("training choice", "Encoder and decoder"),
    "chrf": "chrF",
    "loss": pgettext_lazy("training choice", "Loss"),
    "image_architecture.base": pgettext_lazy("training choice", "The base model"),
    "resnet9": "ResNet-9",
    "resnet18": "ResNet-18",
    "float32": "float32",
    "bfloat16": "bfloat16",
    "sharding.full": pgettext_lazy("training choice", "Over all processes"),
    "tensorboard": "TensorBoard",
    "wandb": "Weights & Biases",
    "mlflow": "MLflow",
}


def option_label(name: str) -> str:
    """What people call an option: “Learning rate”; a name that is no option stays as it is."""
    return str(_LABELS.get(name, name))


def option_help(option: Option) -> str:
    """What an option does."""
    return gettext(option.help)


def group_title(group: str) -> str:
    """The title of a group of options."""
    return str(_GROUPS.get(group, group))


def option_value(name: str, value: Any) -> str:
    """A value of an option, or of each in a list; an em dash for what is not set."""
    if value in (None, "", []):
        return "—"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return ", ".join(option_value(name, each) for each in value)
    option = next((each for each in training_options() if each.name == name), None)
    if option is not None and option.choices and value in option.choices:
        return choice_label(name, value)
    return str(value)


def choice_label(option: str, choice: str) -> str:
    """A choice with the word that a recipe has for it, where that is another: “Cosine decay (cosine)”."""
    words = str(_CHOICES.get(f"{option}.{choice}", _CHOICES.get(choice, choice)))
    plain = words.casefold().replace("-", "")
    return words if plain == choice.casefold().replace("-", "") else f"{words} ({choice})"
