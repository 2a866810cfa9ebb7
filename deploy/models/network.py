"""Qwen3 written out for training on a CPU: every sample of a batch shares one computed prefix.

All prompts begin with the same system message. Its keys and values are computed once per step
and joined to those of every sample, as a serving engine does with its prefix cache; that saves
about a quarter of the work. Parameter names are those of Hugging Face, so exporting is a copy.
"""

from typing import Any

import torch
from torch import Tensor, nn

SIZES: dict[str, Any] = {
    "vocab_size": 3072,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys by their position."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def rope_table(length: int, theta: float, dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions, one row per position."""
    inverse = 1.0 / theta ** (torch.arange(0, dim, 2).float() / dim)
    angles = torch.outer(torch.arange(length).float(), inverse)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


class Norm(nn.Module):
    """Root mean square normalisation with a learned gain."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension in float32."""
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + SIZES["rms_norm_eps"])
        return self.weight * y


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self) -> None:
        super().__init__()
        hidden, dim = SIZES["hidden_size"], SIZES["head_dim"]
        self.heads, self.groups, self.dim = (
            SIZES["num_attention_heads"],
            SIZES["num_key_value_heads"],
            dim,
        )
        self.q_proj = nn.Linear(hidden, self.heads * dim, bias=False)
        self.k_proj = nn.Linear(hidden, self.groups * dim, bias=False)
        self.v_proj = nn.Linear(hidden, self.groups * dim, bias=False)
        self.o_proj = nn.Linear(self.heads * dim, hidden, bias=False)
        self.q_norm, self.k_norm = Norm(dim), Norm(dim)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], prefix: int, batch: int) -> Tensor:
        """Attend within the prefix, and from every sample to the prefix and itself."""
        cos, sin = rope
        total = cos.shape[0]
        q = self.q_norm(self.q_proj(x).view(-1, self.heads, self.dim))
        k = self.k_norm(self.k_proj(x).view(-1, self.groups, self.dim))
        v = self.v_proj(x).view(-1, self.groups, self.dim)
        repeat = self.heads // self.groups

        def head(t: Tensor) -> Tensor:
            return t[:prefix].view(1, prefix, -1, self.dim).transpose(1, 2)

        def tail(t: Tensor) -> Tensor:
            return t[prefix:].view(batch, total - prefix, -1, self.dim).transpose(1, 2)

        q0, k0, v0 = (
            rotate(head(q), cos[:prefix], sin[:prefix]),
            rotate(head(k), cos[:prefix], sin[:prefix]),
            head(v),
        )
        q1, k1 = (
            rotate(tail(q), cos[prefix:], sin[prefix:]),
            rotate(tail(k), cos[prefix:], sin[prefix:]),
        )
        k1 = torch.cat((k0.expand(batch, -1, -1, -1), k1), dim=2).repeat_interleave(repeat, dim=1)
        v1 = torch.cat((v0.expand(batch, -1, -1, -1), tail(v)), dim=2).repeat_interleave(
            repeat, dim=1
        )
        k0, v0 = k0.repeat_interleave(repeat, dim=1), v0.repeat_interleave(repeat, dim=1)
        kind = v.dtype
        rows = torch.arange(prefix, total, device=x.device)
        mask = rows[:, None] >= torch.arange(total, device=x.device)[None, :]
        a0 = nn.functional.scaled_dot_product_attention(
            q0.to(kind), k0.to(kind), v0, is_causal=True
        )
        a1 = nn.functional.scaled_dot_product_attention(
            q1.to(kind), k1.to(kind), v1, attn_mask=mask
        )
        joined = torch.cat(
            (
                a0.transpose(1, 2).reshape(prefix, -1),
                a1.transpose(1, 2).reshape(batch * (total - prefix), -1),
            )
        )
        return self.o_proj(joined)


class Gated(nn.Module):
    """The gated feed-forward part of a layer."""

    def __init__(self) -> None:
        super().__init__()
        hidden, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map each position by itself."""
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One layer: attention, then feed-forward, each added to the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(), Gated()
        self.input_layernorm = Norm(SIZES["hidden_size"])
        self.post_attention_layernorm = Norm(SIZES["hidden_size"])

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], prefix: int, batch: int) -> Tensor:
        """Return the stream after this layer."""
        x = x + self.self_attn(self.input_layernorm(x), rope, prefix, batch)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    """Embedding, layers and last norm, under the names Hugging Face gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(SIZES["vocab_size"], SIZES["hidden_size"])
        self.layers = nn.ModuleList(Layer() for _ in range(SIZES["num_hidden_layers"]))
        self.norm = Norm(SIZES["hidden_size"])


class Nano(nn.Module):
    """The model in training; `loss` is what a step minimises."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Body()
        cos, sin = rope_table(SIZES["max_position_embeddings"], 10_000.0, SIZES["head_dim"])
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.normal_(weight, std=0.02 / (2 * SIZES["num_hidden_layers"]) ** 0.5)

    def loss(self, prefix: Tensor, ids: Tensor, targets: Tensor) -> Tensor:
        """Sum of the cross-entropy over the positions whose target is not negative."""
        length = prefix.shape[0]
        cos, sin = self.get_buffer("cos"), self.get_buffer("sin")
        rope = (cos[: length + ids.shape[1]], sin[: length + ids.shape[1]])
        x = self.model.embed_tokens(torch.cat((prefix, ids.reshape(-1))))
        for layer in self.model.layers:
            x = layer(x, rope, length, ids.shape[0])
        wanted = targets.reshape(-1) >= 0
        x = self.model.norm(x[length:][wanted])
        logits = nn.functional.linear(x, self.model.embed_tokens.weight)
        return nn.functional.cross_entropy(
            logits.float(), targets.reshape(-1)[wanted], reduction="sum"
        )
