"""What the steps of a simulated run do: what they ask of others, emit and call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from schemas.document import ActionStep, ApprovalStep, CallStep, EmitStep
from schemas.events import EventDraft, Json, Origin
from service.workflows.decisions import Failed, Outcome, Perform, Succeeded
from service.workflows.own_steps import called_inputs, emitted, unknown_workflow
from service.workflows.shadow import reads_unknown
from service.workflows.simulated import Answer, Called, CalledEnd, Script, SimulatedCall
from service.workflows.simulated_branches import Branch, begin_run
from service.workflows.simulated_outside import OutsideAnswer, World, deliver
from service.workflows.waiting import call_answer


class Stage(World, Protocol):
    """What is needed of a simulation here."""

    script: Script
    called: Called | None
    shadow: bool
    calls: list[tuple[SimulatedCall, Answer]]
    emitted: list[EventDraft]
    called_runs: list[tuple[str, str, Mapping[str, Json]]]
    ids_given: int


def ask(stage: Stage, branch: Branch, decision: Perform) -> Answer:
    """Perform an action, or ask for an approval over a vendor, as the script answers it."""
    step = decision.step
    action = step.uses if isinstance(step, ActionStep) else ""
    if isinstance(step, ApprovalStep):
        action = f"{step.approval.ask}.ask_approval"
    call = SimulatedCall(
        path=branch.prefix + step.id,
        step=step,
        action=action,
        params=decision.params,
        attempt=decision.attempt,
        polls=decision.state.polls,
        at=stage.now,
        timeout=decision.timeout,
        recovering=decision.recovering,
        reads_unknown=lambda: (
            stage.shadow and reads_unknown(branch.run.document, step, branch.view.steps)
        ),
    )
    answer = stage.script(call)
    stage.calls.append((call, answer))
    return answer


def emit(stage: Stage, step: EmitStep, decision: Perform) -> Outcome:
    """Emit an event to whoever waits for it. A shadow run only says which."""
    draft = emitted(step, decision.params)
    if isinstance(draft, Failed):
        return draft
    stage.emitted.append(draft)
    if stage.shadow:
        return Succeeded({"event_id": None})
    event = _own_event(stage, draft.type, draft.subject, draft.facts)
    stage.arrived.append(event)
    deliver(stage, event)
    return Succeeded({"event_id": event["id"]})


def call(stage: Stage, branch: Branch, step: CallStep, decision: Perform) -> Outcome:
    """Begin the run of another workflow, or say how it ends where it is not played itself."""
    found = None if stage.called is None else stage.called(step.call, decision.params)
    if found is None:
        return unknown_workflow(step)
    run_id = _new_id(stage)
    path = branch.prefix + step.id
    if isinstance(found, CalledEnd):
        answer = call_answer(
            run_id=run_id, status=found.status, outputs=found.outputs, error=found.error
        )
        stage.schedule(stage.now + found.after, OutsideAnswer(branch, step.id, answer))
        stage.called_runs.append((path, step.call, decision.params))
        return Succeeded({"run_id": run_id})
    inputs = called_inputs(found, decision.params, depth=branch.run.depth)
    if isinstance(inputs, Failed):
        return inputs
    stage.called_runs.append((path, step.call, inputs))
    facts = {
        "workflow": found.name,
        "inputs": inputs,
        "run_id": branch.run.facts["id"],
        "step": step.id,
    }
    event = _own_event(stage, "workflow.called", found.name, facts)
    own = {"id": run_id, "workflow": found.name, "version": 1, "event": event}
    root = begin_run(
        found,
        event=event,
        facts={**branch.run.facts, **own, "started_at": stage.now.isoformat()},
        values=found.vars,
        inputs=inputs,
        path=path,
        depth=branch.run.depth + 1,
        caller=(branch, step.id),
    )
    stage.open[root.prefix] = root
    stage.ring(root)
    return Succeeded({"run_id": run_id})


def _own_event(
    stage: Stage, event_type: str, subject: str | None, facts: Mapping[str, Json]
) -> dict[str, Json]:
    now = stage.now.isoformat().replace("+00:00", "Z")
    return {
        "id": _new_id(stage),
        "type": event_type,
        "vendor": "hookwright",
        "vendor_type": event_type,
        "source": None,
        "delivery_id": None,
        "origin": Origin.OWN.value,
        "subject": subject,
        "time": now,
        "received_at": now,
        "facts": facts,
        "payload": None,
        "correlation_id": stage.root.run.facts["correlation_id"],
        "caused_by": stage.root.run.facts["id"],
    }


def _new_id(stage: Stage) -> str:
    stage.ids_given += 1
    return str(UUID(int=stage.ids_given))
