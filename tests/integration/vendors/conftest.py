"""Twins of the vendors, and contexts that call them as the engine would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from examples.twins.launch import TwinProcess
from service.http import Timing, VendorHttp
from service.http_connect import connect
from service.vendors.base import Action, CallContext, Done, Poll, PollAnswer, Vendor
from tests.twin_forks import start_twin

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


class SkippedTime:
    """Real time, except that sleeping skips ahead at once."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def sleep(self, seconds: float) -> None:
        self.skipped += seconds

    def timing(self) -> Timing:
        return Timing(monotonic=lambda: time.monotonic() + self.skipped, sleep=self.sleep)


class Caller:
    """Uses one vendor through one connection; keeps references and positions as the engine does."""

    def __init__(
        self,
        vendor: Vendor,
        base_url: str,
        credentials: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        assert vendor.outgoing is not None
        self.vendor = vendor
        self.credentials = vendor.outgoing.credentials.model_validate(dict(credentials))
        self.options = vendor.outgoing.options.model_validate(dict(options or {}))
        self.time = SkippedTime()
        self.http: VendorHttp = connect(
            vendor,
            base_url=base_url,
            credentials=self.credentials,
            options=self.options,
            allow_private=True,
            timing=self.time.timing(),
        )
        self.references: dict[str, Mapping[str, Any]] = {}
        self.earlier: dict[str, list[Mapping[str, Any]]] = {}
        self.now = NOW

    def context(self, key: str = "", reference: Mapping[str, Any] | None = None) -> CallContext:
        return CallContext(
            http=self.http,
            credentials=self.credentials,
            options=self.options,
            connection="under-test",
            now=self.now,
            idempotency_key=key,
            reference=reference,
            earlier=self._earlier,
        )

    def _earlier(self, action: str) -> Sequence[Mapping[str, Any]]:
        return list(reversed(self.earlier.get(action, [])))

    def action(self, name: str) -> Action:
        return next(action for action in self.vendor.actions if action.name == name)

    def poll(self, name: str) -> Poll:
        return next(poll for poll in self.vendor.polls if poll.name == name)

    def do(self, name: str, /, *, effect: str = "run:step:0", **params: Any) -> Done:
        action = self.action(name)
        checked = action.params.model_validate(params)
        target = action.target(checked, self.options) if action.target else None
        reference = self.references.get(target) if target is not None else None
        done = action.perform(self.context(effect, reference), checked)
        if done.reference is not None:
            self.earlier.setdefault(name, []).append(done.reference)
            if target is not None:
                self.references[target] = done.reference
        return done

    def outputs(self, name: str, /, **params: Any) -> Any:
        return self.do(name, **params).outputs

    def look_up(self, name: str, /, *, effect: str = "run:step:0", **params: Any) -> Done | None:
        action = self.action(name)
        assert action.look_up is not None
        checked = action.params.model_validate(params)
        target = action.target(checked, self.options) if action.target else None
        reference = self.references.get(target) if target is not None else None
        return action.look_up(self.context(effect, reference), checked)

    def ask(self, name: str, position: Any = None, /, **options: Any) -> PollAnswer:
        poll = self.poll(name)
        return poll.ask(self.context(), poll.options.model_validate(options), position)


Start = Callable[[str], TwinProcess]


@pytest.fixture(scope="session")
def running_twins() -> Iterator[Start]:
    running: dict[str, TwinProcess] = {}

    def start(name: str) -> TwinProcess:
        if name not in running:
            running[name] = start_twin(name)
        return running[name]

    yield start
    for twin in running.values():
        twin.stop()


@pytest.fixture
def twin(running_twins: Start) -> Iterator[Start]:
    """`twin("github")` gives that twin, forgetful of earlier tests."""
    used: list[TwinProcess] = []

    def give(name: str) -> TwinProcess:
        process = running_twins(name)
        process.reset()
        used.append(process)
        return process

    yield give
    for process in used:
        process.reset()
