"""The twin's levers: rules that see a value, a past that was partly withheld, log-ins that end."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkrd.account import AGENT_ID, ORG_ID, RULE_ID, Account, written
from examples.twins.checkrd.agents import announce
from examples.twins.checkrd.agents_book import Agent
from examples.twins.checkrd.bodies import Evaluation, Login, Many, Past, Policy, Requests, Sent
from examples.twins.checkrd.observing import Observing
from examples.twins.checkrd.rules_book import Change, Rule
from examples.twins.checkrd.webhook import Told
from examples.twins.twin import Refusal

AT_ONCE = 16
HIGH, LOW = 0.31, 0.04


class Levers:
    """Control calls of this twin alone."""

    def __init__(self, account: Account, observing: Observing) -> None:
        self._account = account
        self._observing = observing

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        post = ["POST"]
        return (
            Route("/evaluate", self.evaluate, methods=post),
            Route("/history", self.add_history, methods=post),
            Route("/record", self.show_record, methods=["GET"]),
            Route("/agents", self.add_agents, methods=post),
            Route("/alerts", self.add_rules, methods=post),
            Route("/requests", self.add_requests, methods=post),
            Route("/policies", self.set_policy, methods=post),
            Route("/login", self.log_in, methods=post),
            Route("/expire", self.expire, methods=post),
            Route("/send", self.send, methods=post),
        )

    async def evaluate(self, request: Request) -> Response:
        """Let a rule see a value; what changes is entered and told."""
        asked = Evaluation.model_validate_json(await request.body())
        rule, at = self._rule(asked.rule_id), asked.at or self._account.clock.now()
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        state = rule.next_state(asked.value, hits_to_fire=self._account.settings.hits_to_fire)
        rule.last_value, rule.last_evaluated_at = asked.value, at
        if state == rule.alert_state:
            return JSONResponse({"changed": None})
        told = await self._tell(self._move(rule, state, asked.value, at), withheld=asked.withheld)
        return JSONResponse({"changed": told.show()})

    async def add_history(self, request: Request) -> Response:
        """Changes that happened in the past: some were sent, some withheld."""
        asked = Past.model_validate_json(await request.body())
        rule = self._rule(asked.rule_id)
        last = asked.until or self._account.clock.now()
        first = last - timedelta(seconds=asked.spacing_s * (asked.count - 1))
        changes: list[tuple[Change, bool]] = []
        for number in range(asked.count):
            at = first + timedelta(seconds=asked.spacing_s * number)
            state, value = ("resolved", LOW) if rule.alert_state == "firing" else ("firing", HIGH)
            is_withheld = bool(asked.withhold_every) and (number + 1) % asked.withhold_every == 0
            changes.append((self._move(rule, state, value, at), is_withheld or not asked.send))
        turn = asyncio.Semaphore(AT_ONCE)

        async def tell(change: Change, *, withheld: bool) -> Told:
            async with turn:
                return await self._tell(change, withheld=withheld, quiet=False)

        told = await asyncio.gather(*(tell(one, withheld=held) for one, held in changes))
        return JSONResponse(
            {
                "created": [one.change.id for one in told],
                "sent": [one.change.id for one in told if one.webhook_id is not None],
                "withheld": [one.change.id for one in told if one.withheld],
            }
        )

    async def show_record(self, _: Request) -> Response:
        """What happened, what was sent, what was withheld."""
        return JSONResponse([told.show() for told in self._account.webhook.record])

    async def add_agents(self, request: Request) -> Response:
        """More agents."""
        asked = Many.model_validate_json(await request.body() or b"{}")
        now, made = written(self._account.clock.now()), []
        for number in range(asked.count):
            name = f"{asked.name}-{number}"
            made.append(Agent(str(uuid4()), ORG_ID, name, name, now))
            self._account.agents.add(made[-1])
        return JSONResponse({"ids": [agent.id for agent in made]}, 201)

    async def add_rules(self, request: Request) -> Response:
        """More rules of the first agent."""
        asked = Many.model_validate_json(await request.body() or b"{}")
        made = [
            Rule(str(uuid4()), AGENT_ID, "error_rate", 0.2, "webhook", "")
            for _ in range(asked.count)
        ]
        for rule in made:
            self._account.rules.add(rule)
        return JSONResponse({"ids": [rule.id for rule in made]}, 201)

    async def add_requests(self, request: Request) -> Response:
        """Requests that an agent made."""
        asked = Requests.model_validate_json(await request.body() or b"{}")
        for _ in range(asked.count):
            given = {"agent_id": asked.agent_id or AGENT_ID, **asked.overrides}
            self._observing.add_request(given)
        return JSONResponse({"requests": len(self._account.requests)}, 201)

    async def set_policy(self, request: Request) -> Response:
        """Give an agent a new policy, tell its streams, and the receiver where that is on."""
        asked = Policy.model_validate_json(await request.body() or b"{}")
        agent = self._account.agent(asked.agent_id or AGENT_ID)
        agent.policy, agent.version = asked.yaml, agent.version + 1
        told = {"version": agent.version, "hash": agent.policy_hash}
        agent.tell("policy_updated", {**told, "policy_envelope": agent.envelope()})
        await announce(
            self._account,
            type="policy_updated",
            agent_id=agent.id,
            yaml_content=asked.yaml,
            **told,
        )
        return JSONResponse(told)

    async def log_in(self, request: Request) -> Response:
        """A log-in that lasts as long as asked."""
        asked = Login.model_validate_json(await request.body() or b"{}")
        return JSONResponse(self._account.sessions.issue(asked.lasts_s))

    async def expire(self, _: Request) -> Response:
        """End every log-in."""
        self._account.sessions.expire()
        return JSONResponse({"expired": True})

    async def send(self, request: Request) -> Response:
        """Sign any body, post it, and give what came of it."""
        asked = Sent.model_validate_json(await request.body())
        receiver = asked.receiver or self._account.settings.receiver
        if receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        attempts = await self._account.webhook.send(
            asked.body, receiver, secret=asked.secret, timestamp=asked.timestamp
        )
        return JSONResponse([attempt.show() for attempt in attempts])

    def _rule(self, rule_id: str | None) -> Rule:
        return self._account.rule(rule_id or RULE_ID)

    def _move(self, rule: Rule, state: str, value: float | None, at: datetime) -> Change:
        agent = self._account.agents.find(rule.agent_id)
        name = agent.name if agent else "?"
        return self._account.rules.move(rule, state, value=value, at=at, agent_name=name)

    async def _tell(self, change: Change, *, withheld: bool, quiet: bool | None = None) -> Told:
        rule, at = change.rule, change.evaluated_at
        if quiet is None:
            quiet = rule.is_quiet(change.new_state, at)
        told = await self._account.webhook.announce(change, quiet=quiet, withheld=withheld)
        if quiet:
            return told
        if change.new_state == "firing":
            rule.last_triggered_at = at
        rule.notification_count += 1
        rows = self._account.rules.notifications.setdefault(rule.id, [])
        rows.append(_notification(told, written(self._account.clock.now())))
        return told


def _notification(told: Told, now: str) -> dict[str, object]:
    change = told.change
    arrived = bool(told.attempts) and told.attempts[-1].succeeded
    last = told.attempts[-1].error if told.attempts else "the connection was lost"
    return {
        "id": str(uuid4()),
        "channel": change.rule.channel,
        "channel_target": change.rule.channel_target,
        "observed_value": change.observed_value,
        "threshold": change.rule.threshold,
        "condition_type": change.rule.condition_type,
        "alert_state": change.new_state,
        "status": "sent" if arrived or change.rule.channel == "email" else "failed",
        "attempt": max(1, len(told.attempts)),
        "error_message": None if arrived else last,
        "created_at": now,
        "delivered_at": now if arrived else None,
    }
