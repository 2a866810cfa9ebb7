"""Qwen3 written out for training on a CPU: every sample of a batch shares one computed prefix.

All prompts begin with the same system message. Its keys and values are computed once per step
and joined to those of every sample, as a serving engine does with its prefix cache; that saves
about a quarter of the work. Parameter names are those of Hugging Face, so exporting is a copy.
"""

from collections.abc import Sequence
from typing import Any

import torch
from attention import attend, cross_entropy, guided_places, rotate
from torch import Tensor, nn

SIZES: dict[str, Any] = {
    "vocab_size": 2048,
    "hidden_size": 192,
    "intermediate_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}


NOTES = 22
"""Kinds of notes, see `data`."""

NOTED_AFTER = 4
"""The layer after which notes are read off: those above can use what was noted."""


def rope_table(length: int, theta: float, dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions, one row per position."""
    inverse = 1.0 / theta ** (torch.arange(0, dim, 2).float() / dim)
    angles = torch.outer(torch.arange(length).float(), inverse)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


class Norm(nn.Module):
    """Root mean square normalisation with a learned gain."""

    def __init__(self, size: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((size,), gain))

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
        self.q_norm, self.k_norm = Norm(dim, 1.5), Norm(dim, 1.5)

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        prefix: int,
        batch: int,
        guides: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Attend within the prefix, and from every sample to the prefix and itself."""
        cos, sin = rope
        total = cos.shape[0]
        q = self.q_norm(self.q_proj(x).view(-1, self.heads, self.dim))
        k = self.k_norm(self.k_proj(x).view(-1, self.groups, self.dim))
        v = self.v_proj(x).view(-1, self.groups, self.dim)
        kind, repeat = v.dtype, self.heads // self.groups

        def split(t: Tensor, first: int, last: int) -> Tensor:
            return t.view(-1, last - first, t.shape[1], self.dim).transpose(1, 2)

        def turned(t: Tensor, first: int, last: int) -> Tensor:
            return rotate(split(t, first, last), cos[first:last], sin[first:last]).to(kind)

        def grouped(t: Tensor) -> Tensor:
            return t.unflatten(1, (self.groups, repeat))

        keys, values = turned(k[prefix:], prefix, total), split(v[prefix:], prefix, total)
        parts = list[Tensor]()
        if prefix:
            first, told = turned(k[:prefix], 0, prefix), split(v[:prefix], 0, prefix)
            parts.append(attend(grouped(turned(q[:prefix], 0, prefix)), first, told, ())[0])
            keys = torch.cat((first.expand(batch, -1, -1, -1), keys), dim=2)
            values = torch.cat((told.expand(batch, -1, -1, -1), values), dim=2)
        mixed, missed = attend(grouped(turned(q[prefix:], prefix, total)), keys, values, guides)
        parts.append(mixed)
        joined = [part.transpose(1, 2).reshape(-1, self.heads * self.dim) for part in parts]
        return self.o_proj(torch.cat(joined)), missed


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

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        prefix: int,
        batch: int,
        guides: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the stream after this layer, and the loss of its guided heads."""
        read, missed = self.self_attn(self.input_layernorm(x), rope, prefix, batch, guides)
        x = x + read
        return x + self.mlp(self.post_attention_layernorm(x)), missed


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
        self.notes = nn.Linear(SIZES["hidden_size"], NOTES)
        cos, sin = rope_table(SIZES["max_position_embeddings"], 10_000.0, SIZES["head_dim"])
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.normal_(weight, std=0.02 / (2 * SIZES["num_hidden_layers"]) ** 0.5)

    def loss(
        self, prefix: Tensor, ids: Tensor, targets: Tensor, notes: Tensor, *, guide: bool = False
    ) -> Tensor:
        """Sums of the cross-entropy of targets, of notes, and of where guided heads look.

        Targets and notes count where they are not negative.
        """
        length = prefix.shape[0]
        cos, sin = self.get_buffer("cos"), self.get_buffer("sin")
        rope = (cos[: length + ids.shape[1]], sin[: length + ids.shape[1]])
        x = self.model.embed_tokens(torch.cat((prefix, ids.reshape(-1))))
        noting = torch.zeros((), device=x.device)
        guiding = torch.zeros((), device=x.device)
        guides = guided_places(ids, targets, length) if guide else {}
        for number, layer in enumerate(self.model.layers, 1):
            x, missed = layer(x, rope, length, ids.shape[0], guides.get(number, ()))
            guiding = guiding + missed
            if number == NOTED_AFTER and (noted := notes.reshape(-1) >= 0).any():
                told = self.notes(self.model.norm(x[length:][noted]))
                noting = cross_entropy(told, notes.reshape(-1)[noted])
        wanted = targets.reshape(-1) >= 0
        x = self.model.norm(x[length:][wanted])
        logits = nn.functional.linear(x, self.model.embed_tokens.weight)
        writing = cross_entropy(logits, targets.reshape(-1)[wanted])
        return torch.stack((writing, noting, guiding))
