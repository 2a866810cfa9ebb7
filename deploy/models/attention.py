"""Attention as products of matrices, and heads that are told where to look while they learn."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys by their position."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the losses, in float32."""
    return nn.functional.cross_entropy(logits.float(), targets, reduction="sum")


def guided_places(ids: Tensor, targets: Tensor, prefix: int) -> dict[int, list[Tensor]]:
    """Where guided heads should look, by layer: a place for every position, negative for any.

    In the first layer one head looks at the token before, one at the token before that. In the
    third, one looks at the place from which the next token can be copied: where the same token
    stands behind the same one, of several the one with more of the same before it. These are
    the two halves of an induction head (Olsson et al. 2022, arXiv 2209.11895), which small models
    otherwise find late.
    """
    batch, length = ids.shape
    places = torch.arange(length, device=ids.device)
    same = ids[:, :, None] == ids[:, None, :]
    alike = torch.zeros(batch, length, length, device=ids.device)
    for back in (3, 2, 1):
        shifted = torch.zeros_like(alike)
        shifted[:, back - 1 :, back:] = same[:, : length - back + 1, : length - back].float()
        alike = shifted * (1 + alike)
    wanted = (ids[:, None, :] == targets[:, :, None]) & (places[None, :] <= places[:, None])
    best, source = (alike * wanted + places / (2 * length)).mul(wanted).max(-1)
    source = torch.where(best >= 1, source + prefix, -100)
    before = [
        torch.where(places + prefix < back, -100, places + prefix - back).expand(batch, -1)
        for back in (1, 2)
    ]
    return {1: before, 3: [source]}


def attend(q: Tensor, k: Tensor, v: Tensor, guides: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Causal attention of the last positions; heads that share keys are stacked as more rows.

    Also returns the loss of the guided heads, the first ones of the first group.

    Shapes: q (batch, groups, heads per group, positions, dim), k and v (batch, groups, all
    positions, dim). Written as products of matrices: on a CPU in bf16 that is twice as fast,
    gradient included, as the fused kernel.
    """
    batch, groups, repeat, rows, dim = q.shape
    total = k.shape[2]
    hidden = torch.ones(rows, total, dtype=torch.bool, device=q.device).triu(total - rows + 1)
    bias = torch.zeros(rows, total, dtype=q.dtype, device=q.device)
    bias = bias.masked_fill(hidden, float("-inf")).repeat(repeat, 1)
    stacked = (q * dim**-0.5).reshape(batch * groups, repeat * rows, dim)
    keys = k.reshape(batch * groups, total, dim).transpose(1, 2)
    scores = torch.baddbmm(bias.expand(batch * groups, -1, -1), stacked, keys)
    missed = torch.zeros((), device=q.device)
    for head, places in enumerate(guides):
        looks = scores.view(batch, groups, repeat, rows, total)[:, 0, head]
        missed = missed + cross_entropy(looks.flatten(0, 1), places.flatten())
    mixed = torch.bmm(scores.softmax(-1).to(v.dtype), v.reshape(batch * groups, total, dim))
    return mixed.view(batch, groups * repeat, rows, dim), missed
