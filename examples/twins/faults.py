"""Modes that spoil an answer on request: refused, slow, cut, garbled or cut short."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from examples.twins.record import matches


class Mode(StrEnum):
    """What happens to a matching call.

    `status` answers in the vendor's place and nothing takes effect. `drop_before` cuts the
    connection before the call is handled, `drop_after` afterwards. `slow` handles the call and
    delays the answer; `garbage` and `truncate` handle it and spoil the answer.
    """

    STATUS = "status"
    SLOW = "slow"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    GARBAGE = "garbage"
    TRUNCATE = "truncate"


WITHOUT_EFFECT = frozenset({Mode.STATUS, Mode.DROP_BEFORE})


class Match(BaseModel):
    """Which calls a fault is for. `contains` is text that must be in the raw body."""

    model_config = ConfigDict(extra="forbid")

    method: str | None = None
    path: str | None = None
    contains: str | None = None


class Fault(BaseModel):
    """One mode switched on.

    Args:
        times: how many matching calls are spoiled; `None` means all until the fault is removed.
        skip: how many matching calls are let through first.
        effect: overrides whether the call is handled although its answer is spoiled.
        delay_s: seconds before the answer (or the cut), in every mode.
    """

    model_config = ConfigDict(extra="forbid")

    match: Match = Field(default_factory=Match)
    mode: Mode
    status: int = Field(default=503, ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: object = None
    delay_s: float = Field(default=0.0, ge=0)
    times: int | None = Field(default=None, ge=1)
    skip: int = Field(default=0, ge=0)
    effect: bool | None = None

    @property
    def takes_effect(self) -> bool:
        """Whether the vendor's part is done although the answer is spoiled."""
        return self.mode not in WITHOUT_EFFECT if self.effect is None else self.effect


class FaultBook:
    """Faults that are switched on, in the order they were added; the first that fits is used."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._next_number = 1

    def add(self, fault: Fault) -> int:
        """Switch a fault on; gives its number."""
        number = self._next_number
        self._next_number += 1
        self._faults[number] = fault
        return number

    def remove(self, number: int | None = None) -> None:
        """Switch one fault off, or all of them."""
        if number is None:
            self._faults.clear()
        else:
            self._faults.pop(number, None)

    def take(self, method: str, path: str, raw_body: bytes) -> Fault | None:
        """The fault for this call, counted down; `None` when the call is to be served well."""
        for number, fault in list(self._faults.items()):
            wanted = fault.match
            if not matches(method, path, wanted.method, wanted.path):
                continue
            if wanted.contains and wanted.contains.encode() not in raw_body:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    del self._faults[number]
            return fault
        return None

    def listing(self) -> list[dict[str, object]]:
        """What is switched on, with the counts that are left."""
        return [{"id": number, **fault.model_dump()} for number, fault in self._faults.items()]
