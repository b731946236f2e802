"""Losses over pairs of embeddings. All embeddings are rows of norm 1, so a product of two is their cosine.

Every loss is a mean over the batch's pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def contrastive(anchors: Tensor, documents: Tensor, excluded: Tensor, temperature: float) -> Tensor:
    """InfoNCE with in-batch negatives, both ways (van den Oord et al. 2018; Radford et al. 2021, CLIP).

    ``anchors`` (pairs, d); ``documents`` (pairs + negatives, d): row i is the positive of anchor i, rows after the last
    pair are negatives for every anchor. ``excluded`` (pairs, pairs + negatives) marks what is no negative: another
    positive of the same anchor. Loss of anchor i: -log(exp(cos(aᵢ, dᵢ)/τ) / Σⱼ exp(cos(aᵢ, dⱼ)/τ)); then the same from
    the positives to the anchors, and the mean of the two.
    """
    count = len(anchors)
    logits = (anchors @ documents.T / temperature).masked_fill(excluded, -torch.inf)
    target = torch.arange(count, device=logits.device)
    there = functional.cross_entropy(logits, target)
    back = functional.cross_entropy(logits[:, :count].T, target)
    return (there + back) / 2


def triplet(anchors: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """max(0, margin + cos(a, n) - cos(a, p)) (Schroff et al. 2015, FaceNet); all three (pairs, d)."""
    gap = (anchors * positives).sum(-1) - (anchors * negatives).sum(-1)
    return functional.relu(margin - gap).mean()


def cosent(anchors: Tensor, positives: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """log(1 + Σ exp((cosⱼ - cosᵢ)/τ)) over all i, j with scoreᵢ > scoreⱼ (Su 2022, CoSENT): only the order counts.

    ``anchors``, ``positives`` (pairs, d); ``scores`` (pairs,). 0 for a batch whose scores are all equal.
    """
    cosines = (anchors * positives).sum(-1) / temperature
    wrong = cosines[None, :] - cosines[:, None]
    ordered = scores[:, None] > scores[None, :]
    terms = wrong.masked_fill(~ordered, -torch.inf).flatten()
    return torch.logsumexp(functional.pad(terms, (1, 0)), 0)


def cosine(anchors: Tensor, positives: Tensor, scores: Tensor) -> Tensor:
    """(cos(a, p) - score)² (Reimers and Gurevych 2019); ``scores`` (pairs,) from 0 to 1."""
    return functional.mse_loss((anchors * positives).sum(-1), scores)
