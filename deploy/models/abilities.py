"""Measure proposals, reviews and ballots of the model on held-out tasks."""

import json
import random
from collections.abc import Callable
from statistics import mean
from typing import Any

from corpus.mix import user_message
from corpus.peers import Peer, draw_peers, show
from corpus.personas import Persona, seat, split_persona
from corpus.proposals import propose
from corpus.reviews import missing_words
from corpus.tasks import make_task
from corpus.words import Lexicon
from figures import likeness, wilson, without_echo, words_of
from sampling import Engine
from wild import WILD

from actors.councils.defaults import default_councils
from actors.deliberations import ballots as voting
from actors.deliberations import prompts


def proposals(
    engine: Engine, count: int = 100, progress: Callable[[str], None] = print
) -> dict[str, Any]:
    """Three seats of a default council each propose for every held-out task."""
    lexicon, rng, councils = Lexicon("held"), random.Random("eval:proposals"), default_councils()
    tasks = [make_task(lexicon, rng) for _ in range(count)]
    texts = [(task.block, task.text, task.words) for task in tasks]
    progress(f"proposals for {count} held-out tasks")
    found = council_figures(engine, texts, councils)
    wild = [(prompts.task_block(text), text, list(words)) for text, words in WILD for _ in range(3)]
    progress(f"proposals for {len(WILD)} tasks written by hand")
    found["tasks_written_by_hand"] = council_figures(engine, wild, councils)
    return found


def council_figures(
    engine: Engine, texts: list[tuple[str, str, list[str]]], councils: Any
) -> dict[str, Any]:
    """Relevance, difference between seats and seeds, and ending of proposals."""
    users = [
        user_message(block, [], prompts.seat_block(council.role, one.persona, prompts.PROPOSE))
        for place, (block, _, _) in enumerate(texts)
        for council in [councils[place % len(councils)]]
        for one in council.seats
    ]
    answers = engine.ask(users, samples=2)
    hits, stopped, lengths, seats, seeds = 0, 0, list[int](), list[float](), list[float]()
    for place, (_, text, words) in enumerate(texts):
        three = answers[3 * place : 3 * place + 3]
        for pair in three:
            left = set(without_echo(pair[0].text, text))
            hits += sum(any(part in left for part in words_of(word)) for word in words) >= 2
            stopped += pair[0].reason == "stop"
            lengths.append(pair[0].tokens)
            seeds.append(likeness(pair[0].text, pair[1].text))
        first, second, third = (pair[0].text for pair in three)
        seats += [likeness(first, second), likeness(first, third), likeness(second, third)]
    return {
        "two_content_words": wilson(hits, 3 * len(texts)),
        "stopped_by_itself": wilson(stopped, 3 * len(texts)),
        "likeness_of_seats": round(mean(seats), 4),
        "likeness_of_seeds": round(mean(seeds), 4),
        "tokens": {"mean": round(mean(lengths), 1), "least": min(lengths), "most": max(lengths)},
        "examples": [f"{texts[place // 3][1]} -> {answers[place][0].text}" for place in range(9)],
    }


def ballots(
    engine: Engine, count: int = 400, progress: Callable[[str], None] = print
) -> dict[str, Any]:
    """Three proposals of which one is off topic or broken, ranked under structured output."""
    lexicon, rng = Lexicon("held"), random.Random("eval:ballots")
    progress(f"{count} ballots with one faulty candidate of three")
    users, shown, schemas = [], list[list[Peer]](), []
    for _ in range(count):
        task, (role, persona) = make_task(lexicon, rng), seat(lexicon, rng)
        peers = draw_peers(task, lexicon, rng, 3, 1)
        users.append(
            user_message(
                task.block,
                [show(peers, rng)],
                prompts.seat_block(role, persona.text, prompts.BALLOT),
            )
        )
        shown.append(peers)
        schemas.append(voting.schema([peer.label for peer in peers]))
    last: dict[str, list[bool]] = {}
    whole = approved = 0
    for peers, (answer,) in zip(shown, engine.ask(users, schemas=schemas), strict=True):
        bad = next(peer for peer in peers if peer.fault)
        ballot = (
            json.loads(answer.text) if answer.reason == "stop" else {"ranking": [], "approve": []}
        )
        valid = sorted(ballot["ranking"]) == [peer.label for peer in peers]
        whole += valid
        approved += bad.label in ballot["approve"]
        last.setdefault(bad.fault, []).append(valid and ballot["ranking"][-1] == bad.label)
    every = [hit for hits in last.values() for hit in hits]
    return {
        "faulty_ranked_last": wilson(sum(every), len(every)),
        "faulty_approved": wilson(approved, count),
        "whole_rankings": wilson(whole, count),
        "by_fault": {fault: wilson(sum(hits), len(hits)) for fault, hits in sorted(last.items())},
    }


def reviews(
    engine: Engine, count: int = 100, progress: Callable[[str], None] = print
) -> dict[str, Any]:
    """Critiques of proposals that leave a word out or are faulty, and revisions that must add a word."""
    lexicon, rng = Lexicon("held"), random.Random("eval:reviews")
    progress(f"{count} critiques and {count} revisions")
    users, checks = list[str](), list[tuple[str, list[str]]]()
    plain: list[Persona] = [
        split_persona(one.persona) for council in default_councils() for one in council.seats
    ]
    while len(users) < count:
        task, persona = make_task(lexicon, rng), rng.choice(plain)
        peers = draw_peers(task, lexicon, rng, 2, 1)
        target = rng.choice(peers)
        if target.fault or missing_words(task, target.text):
            instruction = prompts.CRITIQUE.format(label=target.label)
            users.append(
                user_message(
                    task.block,
                    [show(peers, rng)],
                    prompts.seat_block("QA", persona.text, instruction),
                )
            )
            checks.append(
                (target.fault, task.words if target.fault else missing_words(task, target.text))
            )
    said = [one[0].text for one in engine.ask(users)]
    named = [
        any(word in text for word in words) for text, (_, words) in zip(said, checks, strict=True)
    ]
    asked, wanted, owns = list[str](), list[str](), list[str]()
    while len(asked) < count:
        task, persona = make_task(lexicon, rng), rng.choice(plain)
        own = propose(task, "DEV", persona, rng, size=2)
        absent = missing_words(task, own)
        if absent:
            word = rng.choice(absent)
            note = Peer("B", f"Proposal A leaves out the {word}. Add a line on the {word}.", "", 0)
            materials = [
                show([Peer("A", own, "", 0)], rng, "Your proposal"),
                show([note], rng, "Critiques"),
            ]
            asked.append(
                user_message(
                    task.block, materials, prompts.seat_block("DEV", persona.text, prompts.REVISE)
                )
            )
            wanted.append(word)
            owns.append(own)
    revised = [one[0].text for one in engine.ask(asked, max_tokens=200)]
    added = sum(word in text for word, text in zip(wanted, revised, strict=True))
    kept = [likeness(own, text) for own, text in zip(owns, revised, strict=True)]
    return {
        "critique_names_what_is_missing": wilson(sum(named), len(named)),
        "revision_adds_what_was_asked": wilson(added, count),
        "likeness_of_revision_to_original": round(mean(kept), 4),
        "examples": [*said[:3], *revised[:3]],
    }
