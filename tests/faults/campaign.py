"""One campaign: a load, faults meanwhile, quiet afterwards, and the books balanced."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import httpx
from sqlalchemy import text

from service.db import Database
from tests.faults.books import Difference, Rows, Wrong, balance, read_rows
from tests.faults.house import Site, make_things
from tests.faults.people import Approver, Doubts, settle_all
from tests.faults.plan import Plan, Planned, kinds_of, uuid_from
from tests.faults.report import Line
from tests.faults.sending import Ledger, Load
from tests.faults.twins_record import causes
from tests.servers import wait_until

QUIET_S = 600.0
"""How long after the last fault everything may take to come to its end."""
MOST_TOLD = 20
SETTLINGS = 5
"""How often doubts are settled: what goes on then could come into doubt once more."""
_SUSPECT = re.compile(r"Traceback|effect_made_twice|\"code\": ?\"bug\"|action_raised")
_EXPLAINED = {
    "dramatiq.": ("redis.exceptions.",),
    "sqlalchemy.pool": ("psycopg.",),
}
"""How the errors begin by which a library's own logger tells that a server was away."""
_DOUBTED = re.compile(r'"run_id": "([^"]+)", "step": "([^"]+)", "event": "step_in_doubt"')
_EXPECTING = "expect"

Say = Callable[[str], None]


@dataclass
class Campaign:
    """How much is sent and what happens meanwhile.

    `seconds` is how long the load lasts at least. `strike` performs the faults while it is told
    that the load goes on, and gives what it did, a line for each; it leaves nothing broken.
    """

    name: str
    seed: int
    deliveries: int
    starts: int
    seconds: float
    strike: Callable[[Callable[[], bool]], list[str]] = lambda _: []
    senders: int = 12
    say: Say = print


@dataclass
class Books:
    """What a campaign left behind."""

    ledger: Ledger
    rows: Rows
    differences: list[Difference]
    doubts: Doubts
    quiet_after_s: float
    timeline: list[str]


def run_campaign(site: Site, campaign: Campaign) -> Line:
    """Run it; gives its line. On failure everything is kept to look at, and said where."""
    began = time.monotonic()
    line = Line(campaign.name, campaign.seed)
    try:
        books = carry_out(site, campaign)
    except Exception as error:  # the outermost frame: it is told, and everything is kept
        line.wrong.append(f"{type(error).__name__}: {error}")
        campaign.say(f"{campaign.name} failed; everything is kept in {site.keep_state()}")
        raise
    fill(line, books)
    line.wrong += suspicious(site)
    line.seconds = time.monotonic() - began
    if not line.kept:
        tell(campaign, books, line)
        campaign.say(f"everything is kept in {site.keep_state()}")
    return line


def carry_out(site: Site, campaign: Campaign) -> Books:
    """Send, strike, wait until all is quiet, settle what is in doubt, and balance."""
    kinds = kinds_of(campaign.seed, campaign.starts)
    chance = random.Random(f"ids {campaign.seed}")  # noqa: S311  # it must repeat itself
    things = make_things(site.twins, kinds, (uuid_from(chance) for _ in repeat(None)))
    plan = Plan(
        campaign.seed, deliveries=campaign.deliveries, starts=campaign.starts, things=things
    )

    def then(planned: Planned) -> Planned | None:
        return plan.coming(planned) if planned.event == _EXPECTING else None

    load = Load(
        plan,
        site.door_ports,
        per_second=campaign.deliveries / campaign.seconds,
        senders=campaign.senders,
        seed=campaign.seed,
        then=then,
    )
    approver = Approver(site)
    approver.start()
    load.start()
    try:
        timeline = campaign.strike(lambda: load.busy)
        ledger = load.join()
        ended = time.monotonic()
        doubts = Doubts()
        stop_ticking(site)
        wait_quiet(site)
        quiet_after_s = time.monotonic() - ended
        for _ in range(SETTLINGS):
            if not settle_all(site, doubts):
                break
            wait_quiet(site)
    finally:
        load.stop()
        approver.stop()
    doubts.note_all(len(set(_DOUBTED.findall(all_logs(site)))))
    rows = read_rows(site.database_url())
    differences = balance(rows, ledger, causes(site.twins))
    return Books(ledger, rows, differences, doubts, quiet_after_s, timeline)


def stop_ticking(site: Site) -> None:
    """Let the schedule start nothing more, or it would never be quiet."""

    def stopped() -> bool:
        try:
            site.ask("POST", "/workflows/tick/disable")
        except httpx.HTTPError:
            return False
        return True

    wait_until(stopped, 60, what="the schedule is switched off")


_WAITING = text(
    "SELECT (SELECT count(*) FROM deliveries WHERE state = 'received'),"
    " (SELECT count(*) FROM runs WHERE status IN ('pending', 'running', 'waiting')"
    "  AND NOT EXISTS (SELECT 1 FROM steps JOIN runs AS within ON within.id = steps.run_id"
    "   WHERE steps.status = 'in_doubt'"
    "   AND (within.id = runs.id OR within.root_id = runs.id OR within.root_id = runs.root_id"
    "    OR within.caller_id = runs.id)))"
)


def wait_quiet(site: Site) -> None:
    """Wait until nothing goes on any more, but for what is in doubt."""
    database = Database(site.database_url())
    try:
        with database.engine.connect() as connection:

            def quiet() -> bool:
                received, active = connection.execute(_WAITING).one()
                connection.rollback()
                return not received and not active

            wait_until(quiet, QUIET_S, what="everything has come to its end")
    finally:
        database.dispose()


def fill(line: Line, books: Books) -> None:
    """Write into a line what a campaign has shown."""
    counted = Counter(difference.wrong for difference in books.differences)
    line.faults = len(books.timeline)
    line.acknowledged = books.ledger.acknowledged
    line.runs = len(books.rows.runs)
    line.lost, line.doubled = counted[Wrong.LOST], counted[Wrong.DOUBLED]
    line.doubts = str(books.doubts)
    line.shown.append(f"quiet {books.quiet_after_s:.0f} s after the last delivery")
    others = counted.total() - line.lost - line.doubled
    if others:
        line.wrong.append(f"{others} things have not come to their end, or nobody asked for them")
    line.wrong += [f"nobody was told that {cause} is in doubt" for cause in books.doubts.untold]


def all_logs(site: Site) -> str:
    """Give what all processes said."""
    return "".join(path.read_text(errors="replace") for path in site.directory.glob("*.log"))


def suspicious(site: Site) -> list[str]:
    """Give what the processes said that a fault from outside does not explain."""
    found = []
    for path in sorted(site.directory.glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()
        told = [line for line in lines if _SUSPECT.search(line) and not _is_explained(line)]
        if told:
            found.append(f"{path.name} has {len(told)} lines such as: {told[0][:600]}")
    return found


def _is_explained(line: str) -> bool:
    try:
        told = json.loads(line)
    except ValueError:
        return False
    said = str(told.get("exception")).splitlines()
    return any(
        str(told.get("logger")).startswith(logger) and any(one.startswith(errors) for one in said)
        for logger, errors in _EXPLAINED.items()
    )


def tell(campaign: Campaign, books: Books, line: Line) -> None:
    """Say everything that helps to find out what went wrong."""
    campaign.say(f"{campaign.name} is not kept. Seed {campaign.seed}; the faults were:")
    for fault in books.timeline:
        campaign.say(f"  {fault}")
    campaign.say(f"answers to the senders: {dict(books.ledger.statuses)}")
    for difference in books.differences[:MOST_TOLD]:
        campaign.say(f"  {difference}")
    if len(books.differences) > MOST_TOLD:
        campaign.say(f"  and {len(books.differences) - MOST_TOLD} more")
    for wrong in line.wrong:
        campaign.say(f"  {wrong}")
