"""Workflow documents (contract §8) as typed values. No I/O.

A document is held as it was written: durations are texts (`15s`) and expressions are texts, so that
the JSON form of a document (`model_dump(mode="json")`) is the document again. What the texts mean
is decided in `service/workflows`. Steps that were given no id have one here.
"""

from __future__ import annotations

from schemas.document.gates import Coalesce, Concurrency, Debounce, Throttle
from schemas.document.parts import (
    Condition,
    CountOrText,
    DurationText,
    EventPattern,
    Expression,
    PlainDuration,
    StepId,
)
from schemas.document.steps import (
    MOST_ITEMS,
    NAMED_KINDS,
    STEP_KINDS,
    ActionStep,
    AnyStep,
    Approval,
    ApprovalStep,
    CallStep,
    EachStep,
    Emit,
    EmitStep,
    ParallelStep,
    Poll,
    Retry,
    SleepStep,
    SleepUntil,
    Step,
    WaitFor,
    WaitStep,
    arms,
    kind_of,
)
from schemas.document.triggers import CronTrigger, EventTrigger, Input, Manual, ManualTrigger
from schemas.document.whole import SECTIONS, Document, with_ids

__all__ = [
    "MOST_ITEMS",
    "NAMED_KINDS",
    "SECTIONS",
    "STEP_KINDS",
    "ActionStep",
    "AnyStep",
    "Approval",
    "ApprovalStep",
    "CallStep",
    "Coalesce",
    "Concurrency",
    "Condition",
    "CountOrText",
    "CronTrigger",
    "Debounce",
    "Document",
    "DurationText",
    "EachStep",
    "Emit",
    "EmitStep",
    "EventPattern",
    "EventTrigger",
    "Expression",
    "Input",
    "Manual",
    "ManualTrigger",
    "ParallelStep",
    "PlainDuration",
    "Poll",
    "Retry",
    "SleepStep",
    "SleepUntil",
    "Step",
    "StepId",
    "Throttle",
    "WaitFor",
    "WaitStep",
    "arms",
    "kind_of",
    "with_ids",
]
