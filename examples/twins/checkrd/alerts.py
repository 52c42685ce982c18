"""The `alerts` calls: rules and what became of their notifications."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkrd.account import Account, refusal
from examples.twins.checkrd.bodies import Mute, NewRule, RuleChange, Toggle
from examples.twins.checkrd.idempotency import IdempotencyKeys
from examples.twins.checkrd.paging import list_page
from examples.twins.checkrd.rules_book import Rule
from examples.twins.record import mark_effect


class Alerts:
    """Rules of one account."""

    def __init__(self, account: Account, keys: IdempotencyKeys) -> None:
        self._account = account
        self._once = keys.once

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        one, once, post = "/v1/alerts/{id}", self._once, ["POST"]
        return (
            Route("/v1/alerts", self.list, methods=["GET"]),
            Route("/v1/alerts", once(self.create), methods=post),
            Route(one, once(self.change), methods=["PUT"]),
            Route(one, once(self.remove), methods=["DELETE"]),
            Route(f"{one}/mute", once(self.mute), methods=post),
            Route(f"{one}/unmute", once(self.unmute), methods=post),
            Route(f"{one}/toggle", once(self.toggle), methods=post),
            Route(f"{one}/history", self.show_history, methods=["GET"]),
            Route(f"{one}/notifications", self.show_notifications, methods=["GET"]),
        )

    async def list(self, request: Request) -> Response:
        """A page of rules, newest first."""
        wanted = request.query_params
        rows = [rule.show() for rule in self._account.rules.all()]
        for name in ("agent_id", "alert_state", "condition_type"):
            if name in wanted:
                rows = [row for row in rows if row[name] == wanted[name]]
        if "is_enabled" in wanted:
            rows = [row for row in rows if row["is_enabled"] is (wanted["is_enabled"] == "true")]
        return list_page(request, rows)

    async def create(self, request: Request) -> Response:
        """A new rule."""
        asked = NewRule.model_validate_json(await request.body() or b"{}")
        self._account.agent(asked.agent_id)
        rule = Rule(id=str(uuid4()), **asked.model_dump())
        self._account.rules.add(rule)
        return self._noted(request, rule, "created", 201)

    async def change(self, request: Request) -> Response:
        """Change what is named."""
        rule = self._asked(request)
        asked = RuleChange.model_validate_json(await request.body() or b"{}")
        for name, value in asked.model_dump(exclude_none=True).items():
            setattr(rule, name, value)
        return self._noted(request, rule, "updated")

    async def remove(self, request: Request) -> Response:
        """Forget a rule."""
        rule = self._asked(request)
        self._account.rules.remove(rule.id)
        self._account.note("alert.deleted", "alert", rule.id)
        mark_effect(request)
        return Response(status_code=204)

    async def mute(self, request: Request) -> Response:
        """Tell nothing for a while."""
        rule = self._asked(request)
        asked = Mute.model_validate_json(await request.body() or b"{}")
        if asked.until is None and asked.duration_minutes is None:
            raise refusal(400, "until or duration_minutes is needed", "parameter_missing", "until")
        minutes = timedelta(minutes=asked.duration_minutes or 0)
        rule.muted_until = asked.until or self._account.clock.now() + minutes
        return self._noted(request, rule, "muted")

    async def unmute(self, request: Request) -> Response:
        """Tell again."""
        rule = self._asked(request)
        rule.muted_until = None
        return self._noted(request, rule, "unmuted")

    async def toggle(self, request: Request) -> Response:
        """Switch on or off."""
        rule = self._asked(request)
        rule.is_enabled = Toggle.model_validate_json(await request.body() or b"{}").is_enabled
        return self._noted(request, rule, "toggled")

    async def show_history(self, request: Request) -> Response:
        """A page of the changes of one rule, newest first."""
        rule = self._asked(request)
        found = [one for one in self._account.rules.history if one.rule.id == rule.id]
        found.sort(key=lambda change: change.evaluated_at, reverse=True)
        return list_page(request, [change.show() for change in found])

    async def show_notifications(self, request: Request) -> Response:
        """A page of the messages of one rule, newest first."""
        rows = self._account.rules.notifications.get(self._asked(request).id, [])
        return list_page(request, list(reversed(rows)))

    def _asked(self, request: Request) -> Rule:
        return self._account.rule(request.path_params["id"])

    def _noted(self, request: Request, rule: Rule, what: str, status: int = 200) -> Response:
        self._account.note(f"alert.{what}", "alert", rule.id)
        mark_effect(request)
        return JSONResponse(rule.show(), status)
