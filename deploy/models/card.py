"""The model card: `card.md` with the values of a run."""

from pathlib import Path

from corpus.closed import KINDS, LEVELS
from corpus.mix import STAGES, Errors
from network import SIZES, Nano

CARD = Path(__file__).parent / "card.md"


def stage_shares() -> dict[str, float]:
    """How much of the run each stage takes, by its name in the card."""
    ends = [until for until, _ in STAGES]
    names = ("copy", "drill", "short", "full", "closing")
    return {
        name: end - start for name, start, end in zip(names, [0.0, *ends[:-1]], ends, strict=True)
    }


def error_rates(errors: Errors) -> str:
    """How often the teachers erred, in per cent, by kind and level."""
    rates = {kind: [100 * errors.get((kind, level), 0.0) for level in LEVELS] for kind in KINDS}
    return "; ".join(
        f"{kind} {', '.join(f'{rate:.0f}' for rate in levels)}" for kind, levels in rates.items()
    )


def filled_card(run: str, batch: int, errors: Errors) -> str:
    """The card; the measured figures are put in by `eval.py`."""
    weights = sum(p.numel() for name, p in Nano().named_parameters() if name.startswith("model."))
    values = {
        "parameters": f"{weights / 1e6:.1f}",
        "context": f"{SIZES['max_position_embeddings']:,}",
        "error_rates": error_rates(errors),
        **{name: f"{100 * share:.0f} %" for name, share in stage_shares().items()},
        "vocabulary": f"{SIZES['vocab_size']:,}",
        "batch": f"{batch:,}",
        "run": run,
    }
    text = CARD.read_text()
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text
