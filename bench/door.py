"""How many deliveries a second the door takes, beside whoever else could receive them.

Every receiver that a chosen figure needs is loaded in turns, so that a slow minute of the machine
hits all of them; the ratio is made in each round and its median counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.figures import Context, Figure, Measurement, Wanted
from bench.loading import WRONG_SIGNATURE
from bench.receivers import PREPARED, RECEIVERS
from bench.rounds import Round, load_round


@dataclass(frozen=True)
class Comparison:
    """A figure, and the two loads whose rates or latencies it divides.

    `beside`: others by which it is divided as well, with the words that tell it in the note.
    `turns`: so often the two are loaded in a round: where a figure is near its bound, one round may
    be as far from the next as that.
    """

    wanted: Wanted
    over: str
    under: str
    beside: tuple[tuple[str, str], ...] = ()
    turns: int = 1

    def of(self, over: Round, under: Round) -> float:
        """Divide."""
        if self.wanted.at_most:
            return over.answers.p99_ms / under.answers.p99_ms
        return over.answers.rate / under.answers.rate


ASYNC = "÷ the same route as `async def`, which holds up its event loop"
QUEUED = "÷ the same route with one connection, for which its threads queue"
COMPARISONS = (
    Comparison(
        Wanted("door/verify", "door on PostgreSQL ÷ FastAPI that only verifies", 0.60),
        "postgres/door",
        "verify",
    ),
    Comparison(
        Wanted("door/commit", "door on PostgreSQL ÷ FastAPI that commits each request", 8.0),
        "postgres/door",
        "postgres/commit",
        beside=(("postgres/commit-async", ASYNC),),
    ),
    Comparison(
        Wanted("door/sqlite", "door on SQLite ÷ FastAPI that commits each request", 15.0),
        "sqlite/door",
        "sqlite/commit",
        beside=(("sqlite/commit-async", ASYNC), ("sqlite/commit-queued", QUEUED)),
        turns=3,
    ),
    Comparison(
        Wanted("door/webhook", "door on PostgreSQL ÷ Debian's webhook", 4.0),
        "postgres/door",
        "webhook",
    ),
    Comparison(
        Wanted("door/n8n", "door on PostgreSQL ÷ n8n", 40.0),
        "postgres/door",
        "n8n",
    ),
    Comparison(
        Wanted("door/node-red", "door on PostgreSQL ÷ Node-RED"), "postgres/door", "node-red"
    ),
    Comparison(
        Wanted(
            "door/p99",
            "p99 of the door on PostgreSQL ÷ p99 of FastAPI that only verifies",
            8.0,
            at_most=True,
        ),
        "postgres/door",
        "verify",
    ),
    Comparison(
        Wanted("door/wrong", "wrong signatures a second ÷ right ones", 1.5),
        "postgres/door wrong",
        "postgres/door",
    ),
)
ALSO = ("echo",)
"""Round besides, as the ceiling that the load and the server leave."""


def run(context: Context) -> Iterator[Figure]:
    """Load what the chosen figures compare, and divide."""
    chosen = [one for one in COMPARISONS if one.wanted.name in context.names]
    names = dict.fromkeys(
        name for one in chosen for name in (one.under, one.over, *(name for name, _ in one.beside))
    )
    also = () if context.quick or len(chosen) < len(COMPARISONS) else ALSO
    absent = {name: RECEIVERS[_receiver(name)].absent() for name in (*also, *names)}
    more = [name for one in chosen for name in (one.over, one.under) * (one.turns - 1)]
    rounds: dict[str, list[Round]] = {}
    try:
        for number in range(context.rounds):
            for name in (*also, *names, *more):
                if not absent[name]:
                    rounds.setdefault(name, []).append(_load(context, name, number + 1))
    finally:
        PREPARED.close()
    for one in chosen:
        missing = absent[one.over] or absent[one.under]
        if missing:
            yield Figure(one.wanted, absent=missing)
            continue
        ratios, void = _divided(one, rounds[one.over], rounds[one.under])
        notes = []
        for name, words in one.beside:
            others, other_void = _divided(one, rounds[one.over], rounds[name])
            notes.append(f"{words}: {other_void or round(statistics.median(others), 1)}")
        yield Figure(one.wanted, ratios, void=void, note="; ".join(notes))


def _divided(
    one: Comparison, over: Sequence[Round], under: Sequence[Round]
) -> tuple[list[float], str]:
    """Give the ratio of each round, and what is wrong with their books."""
    # Where one was loaded more often, it is the last of a round that counts.
    step = len(over) // len(under)
    pairs = list(zip(over[step - 1 :: step], under, strict=True))
    void = "; ".join(sorted({each.void for pair in pairs for each in pair if each.void}))
    return [one.of(*pair) for pair in pairs if all(each.answered for each in pair)], void


def _receiver(name: str) -> str:
    return name.partition(" ")[0]


def _load(context: Context, name: str, number: int) -> Round:
    wrong = name.endswith(" wrong")
    receiver = RECEIVERS[_receiver(name)]
    signature = WRONG_SIGNATURE if wrong else ""
    with receiver.start(context.servers) as running:
        one = load_round(context, running, signature=signature, warm_up=receiver.warm_up)
    return one.noted(context, name, round=number)


MEASUREMENT = Measurement("door", tuple(one.wanted for one in COMPARISONS), run)
