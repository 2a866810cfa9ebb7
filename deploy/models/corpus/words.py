"""Words to write about: real ones, invented ones, and which of them training may never see."""

import random
import re
import zlib
from typing import Literal

Split = Literal["train", "held"]

REAL = """
account adapter agent alarm alert allocator analytics anchor android apron archive array asset atlas audit auction author
backlog backup badge balance ballot bandwidth barrier basket batch battery beacon bearing bicycle billing binary blanket
bookmark border bottle boundary branch bread bridge broker browser bucket budget buffer builder bundle button cabin cable
cache calendar camera campaign candle canvas capsule card cargo carpet carrier cart catalog ceiling certificate channel
chapter charger chart checkout checkpoint cheese chimney circuit classroom clause client clinic clock cluster coach
codec coffee collector colour column comment compass compiler compressor concert connector console consumer container
contract controller converter cookie copper corridor council counter coupon course courier crane crawler credential crop
crystal cursor customer cylinder daemon dashboard database dataset deadline decoder delivery depot device dialog
diary digest dinner directory dispatcher district doctor document domain donor doorway draft drawer driver duplicate
editor elevator email emulator encoder endpoint energy engine envelope episode escrow essay event exporter factory fallback
farm feature feed fence ferry festival fever field filter firewall firmware flag fleet flight folder forecast forest
fork form formula forum fountain frame freezer freight fridge fuel function furnace gallery garage garden gateway gear
generator glacier glossary goods graph greenhouse grid guest guide hallway hammer handler handshake harbour harvest
hash header heater helmet highway histogram hospital hostel hotel import index indexer ingest inspector installer
instrument insurance interface inventory invoice island jacket job journal journey junction kernel kettle key keyboard kiosk
kitchen label ladder lamp landing language latency laundry lawn layout leader lease lecture ledger lesson letter library
licence lifeguard limiter listener loader lobby locale lock locker logger login lookup lottery loyalty luggage machine
mailbox manifest manual map margin market marriage material mattress meadow medal meeting member memory menu merchant
merger message metric migration mirror mixer mobile module monitor mortgage motor museum music namespace nest network
newsletter node notebook notification nurse object offer office onboarding operator orchard order orchestra outage outbox
oven packet painting panel pantry parcel parking parser partition partner passenger passport password patch patient
pavement payment payroll pension permit picnic pilot pipeline pixel planet plant plaster platform playlist plugin pocket
policy poll pool portal poster pressure price printer probe processor producer profile project proof protocol proxy
publisher pump puzzle quarry query queue quota radio railway rain ranking receipt recipe record recorder redirect refund
region register registry release reminder rental repair replica report request reserve resolver resort restaurant retry
review reward river robot rollback roof router runner runtime sailor salad salary sample sandbox satellite scanner
scheduler schema school scooter screen script search season secret segment sensor server session shard shelf shipment shop
shuttle signal signature silo simulator sketch slot snapshot socket software solar spreadsheet stadium stage
stairs station statistics stream street student studio subscriber subsidy suitcase summary supplier survey suspension switch
symbol tablet tariff tax telescope template tenant terminal theatre thermostat thread ticket timeline timer timetable
token tool topic tournament tower traffic train transaction transcript translation transport trigger trolley tunnel turbine
tutorial upload user vaccine valve vault vehicle vendor version video village violin visitor volunteer voucher
wallet warehouse warranty washing watch watchdog water weather webhook website wedding widget window winery wizard worker
workshop yard zone
""".split()

QUALITIES = """
stale duplicate slow large small missing late early partial empty encrypted shared remote local public private expired
monthly weekly daily nightly urgent broken noisy fragile heavy light cheap expensive concurrent invalid unknown legacy
new old offline online pending nested signed random critical seasonal regional manual automatic incremental
""".split()

ONSETS = "b br c ch cl cr d dr f fl fr g gl gr h j k kl l m n p pl pr qu r s sc sh sk sl sn sp st str t th tr v w z".split()
VOWELS = "a e i o u ai ea io ou oo y".split()
CODAS = ["", "", "", *"b ck d f g l ll m n nd ng nk p r rd rn s ss st t th v x".split()]
ENDS = ["", "", "", "er", "or", "ium", "ing", "ix", "ane", "let", "oid", "ism", "ia", "um"]


def held_out(word: str) -> bool:
    """Say whether a content word belongs to the part that training never sees: one in ten."""
    return zlib.crc32(("held:" + word.lower()).encode()) % 10 == 0


class Lexicon:
    """Draws content words of one split only."""

    def __init__(self, split: Split, *, invented_only: bool = False) -> None:
        self.split: Split = split
        self.real_share = 0.0 if invented_only else 0.55
        self.real = [word for word in dict.fromkeys(REAL) if self.allows(word)]

    def allows(self, word: str) -> bool:
        """Say whether every part of a word belongs to this split."""
        parts = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).lower())
        held = [held_out(part) for part in parts]
        return all(held) if self.split == "held" else not any(held)

    def invented(self, rng: random.Random) -> str:
        """A pronounceable word that no dictionary has."""
        while True:
            word = "".join(
                rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
                for _ in range(rng.choice((1, 2, 2, 2, 3)))
            ) + rng.choice(ENDS)
            if 4 <= len(word) <= 12 and self.allows(word):
                return word

    def noun(self, rng: random.Random) -> str:
        """A thing to speak of: a real word, an invented one, or a name of a technical kind."""
        draw = rng.random()
        if draw < 0.86:
            return self.plain(rng, self.real_share / 0.86)
        first, second = (self.plain(rng, self.real_share / 0.9) for _ in range(2))
        forms = (
            f"{first}-{second}",
            f"{first}_{second}",
            first.capitalize() + second.capitalize(),
            first.capitalize(),
            first[:4].upper(),
        )
        return rng.choices(forms, (35, 25, 15, 15, 10))[0]

    def plain(self, rng: random.Random, real: float) -> str:
        """One word, a real one in so many cases."""
        return rng.choice(self.real) if rng.random() < real else self.invented(rng)

    def nouns(self, rng: random.Random, count: int) -> list[str]:
        """Different nouns."""
        found: list[str] = []
        while len(found) < count:
            word = self.noun(rng)
            if word.lower() not in {other.lower() for other in found}:
                found.append(word)
        return found

    def name(self, rng: random.Random) -> str:
        """A capitalised invented name."""
        return self.invented(rng).capitalize()


def expand(template: str, rng: random.Random) -> str:
    """Choose one of each `[a|b|c]`; an empty choice is allowed, brackets do not nest."""
    text = re.sub(r"\[([^\[\]]*)\]", lambda match: rng.choice(match.group(1).split("|")), template)
    return re.sub(r" +", " ", text).replace(" .", ".").replace(" ,", ",").strip()


def sentence(text: str) -> str:
    """Begin with a capital, as a sentence does."""
    return text[:1].upper() + text[1:]
