"""What the workflow language promises, in words for its generated reference (workflow_pages.py).

Only what no model and no function says by itself: how constructs behave, and what survives a crash.
A test holds the names here equal to those of the code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from schemas import testing

PROMISES: Mapping[str, str] = {
    "on": "Any one of them starts a run; an event that fits several starts one.",
    "event": (
        "An event starts at most one run of a version, however often its delivery is repeated. "
        "`if` reads `event` and `vars`; one that cannot be evaluated starts nothing and keeps no "
        "other workflow from starting. Events of ours that start one workflow alone "
        "(`schedule.due`, `workflow.started`, `workflow.called`) fit no trigger of another."
    ),
    "cron": (
        "Five fields: minute, hour, day of month, month, day of week; names such as `mon-fri` are "
        "read, and `L` is the last day of a month. A run reads `event.facts.due_at`."
    ),
    "manual": (
        "`hookwright workflow start` and steps with `call` need it. The inputs are read as "
        "`inputs.<name>`; one without a default that is not `required` is null. A start by hand "
        "for a stored event (`--event`) needs no such trigger and asks for no conditions."
    ),
    "gates": (
        "A run passes these in this order before it begins: it gathers events, waits for others "
        "of its key, and keeps to a pace. Meanwhile it is a row with a reason, and no worker "
        "waits. `key` reads `event`, `vars` and `inputs`; one that cannot be evaluated ends the "
        "run as failed. A start by hand, a call or a schedule does not gather."
    ),
    "concurrency": (
        "`queue`: they begin in the order in which they came. `skip`: a run that finds the key "
        "busy ends as skipped. `replace`: older runs of the key are cancelled, those that have "
        "not begun are skipped, and the new one begins when they have ended, `on_cancel` "
        "included. A run keeps its place until it ends, also while it waits for hours."
    ),
    "coalesce": (
        "The first event opens the window. Later ones of the key join its run instead of starting "
        "one. The run reads all of them as `events`, in the order they came; `event` is the first."
    ),
    "debounce": (
        "Each further event of the key puts the run off. It reads all of them as `events`; "
        "`event` is the last. Without `at_most` events that never stop put it off until it has "
        "gathered as many as one run may."
    ),
    "throttle": (
        "What counts is when runs begin, over all processes. Those that wait begin in the order "
        "in which they came; those that are skipped say so."
    ),
    "steps": "They are performed one after the other. These keys are common to all kinds:",
    "uses": (
        "Performs an [action](actions.md). A failure that may pass is tried again: each pause is "
        "a random part of twice the one before, and `Retry-After` is obeyed. A refusal is not "
        "tried again. A rate limit puts the step off and uses up no attempt. With `poll` the "
        "action is asked until `until` holds; failures that may pass only delay the next "
        "question, and the last one is asked when `timeout` is over."
    ),
    "approval": (
        "Waits for a person: `hookwright run approve`, the API, or a press where it was asked. "
        "Who decides first has decided. A shadow run asks nobody and goes on as if approved."
    ),
    "wait_for": (
        "Waits for another event. One that came after the run began counts, also when it came "
        "before this step. Of several the one stored first is taken."
    ),
    "sleep": "Waits for a while, or until a moment; one that has passed is no wait.",
    "emit": (
        "Makes an event of the vendor `hookwright`, once, which may start other workflows. Its "
        "type is plain text, so that it is known before who could be started. A shadow run emits "
        "none."
    ),
    "call": (
        "Starts another workflow and waits for its end. It fails with `called_run_failed` unless "
        "that one succeeded. Cancelling takes the called run along; a retry calls anew."
    ),
    "for_each": (
        "Performs its steps for every item, some at once. When an item fails, no further one "
        "begins, those under way end, and the step fails; with `on_error: continue` all are gone "
        "through. `results` holds what was collected, in the order of the list."
    ),
    "parallel": (
        "Performs its arms at once and waits for all. When one fails the others go on to their "
        "ends; then the step fails, or with `on_error: continue` does not."
    ),
    "scope": (
        "`steps.<id>` also has `status`, `error` (`code`, `message`) and `output` (all outputs). "
        "What a step gives that was skipped, failed or not performed is null. Seen are earlier "
        "steps of the same sequence and of those around it; after a `parallel` also the steps of "
        "its arms, after a `for_each` only the step itself."
    ),
    "functions": (
        "Beside CEL's own. Null counts as an empty text or list. What cannot be computed fails "
        "the step with the code `expression`."
    ),
    "own_events": (
        "Their vendor is `hookwright`, their `origin` is `own`. No sender can give its events a "
        "type of these families: they keep the vendor's name before it."
    ),
    "lost": (
        "Another worker takes the run over within 10 seconds and goes on from its rows. Waits "
        "are rows with a due time, so what waits loses nothing at all."
    ),
    "tests": (
        "Named after the workflow: `heal.test.yaml` tests `heal.yaml`. In expected texts `…` "
        "stands for any characters; of expected maps only the keys that are named are compared. "
        "In `steps` and in lists of effects and events a `…` lets others stand between."
    ),
}

SCHEDULES: Sequence[str] = (
    (
        "A time of day that is left out when clocks go forward happens at the moment they jump; "
        "several that are left out happen together, once."
    ),
    "A time of day that comes twice when clocks go back happens the first time only.",
    (
        "A schedule for every hour (`*/15 * * * *`) names no time of day: it keeps its pace, so "
        "the hour that comes twice is served twice, and nothing is made up for."
    ),
    (
        "After a downtime a schedule starts once, for the latest time that was missed. One that "
        "is new or was switched off makes up for nothing."
    ),
    "Each time starts one run, however many workers there are.",
)

EVENT = (
    "An event has `id`, `type`, `vendor`, `vendor_type`, `source`, `subject` (the vendor's id of "
    "the thing), `time`, `received_at`, `facts` (the same for every vendor), `payload` (the "
    "vendor's own body), `correlation_id`, and `origin`: `webhook`, `poll`, `reconciled`, or `own` "
    "for what Hookwright makes."
)

OUTPUTS: Mapping[str, str] = {
    "uses": "what the action gives ([actions.md](actions.md)).",
    "approval": "`approved`, `by`, `note`, `decided_at`, `timed_out`.",
    "wait_for": "`event`, `timed_out`.",
    "sleep": "nothing.",
    "emit": "`event_id`.",
    "call": "the called workflow's `outputs`, and `run_id`.",
    "for_each": (
        "`count`, `succeeded`, `failed`, `cancelled`, and with `collect` also `results`. Inside: "
        "the item by its name, and its number."
    ),
    "parallel": "`count`, `succeeded`, `failed`, `cancelled`.",
}

NAMES: Sequence[tuple[str, str, str]] = (
    ("event", "everywhere", "what started the run; in the `if` of a `wait_for` the awaited one"),
    ("events", "everywhere", "all events that the run gathered; mostly the one"),
    ("vars", "everywhere", "the document's values, with the installation's over them"),
    (
        "inputs",
        "everywhere but in the `if` of a trigger",
        "what whoever started it gave, with the defaults",
    ),
    ("steps", "steps, outputs", "what earlier steps gave"),
    ("run", "steps, outputs", "the run itself"),
    ("output", "`until`", "the latest answer"),
    ("error", "`on_failure`", "`step`, `code`, `message` of what failed"),
    ("item", "inside a `for_each`", "the item, or the name that `as` gives; `item_index` from 0"),
)

FUNCTION_WORDS: Mapping[str, str] = {
    "escape_markdown": "a foreign text that mentions nobody and opens nothing in a comment",
    "escape_slack": "the same for a message in Slack",
    "format": "the values put in for each `%s`; `%%` is a percent sign",
    "get": "what stands deep inside, or the fallback where there is nothing",
    "join": "one text of all elements",
    "json": "compact JSON with sorted keys",
    "lower": "in small letters",
    "replace": "every `old` replaced",
    "split": "a list of texts",
    "string": "as a text: null is empty, lists and maps are JSON",
    "sum": "of whole or other numbers",
    "trim": "without spaces around it",
    "truncate": "at most so many characters, the last one `…` when it was cut",
    "upper": "in capitals",
}

TEMPLATES: Sequence[str] = (
    (
        "`{template: texts/comment.md.jinja}` in `with` names a file, by its path from the "
        "document's own and within the configuration's folder, or a text of `templates`. It is "
        "read when the configuration is applied and kept with the version."
    ),
    (
        "The language is Jinja's, as far as texts need it: `{{ … }}`, `if`, `for`, `set`, "
        "`macro`, comments, filters and tests. `include`, `import`, `extends`, `block` and "
        "methods are refused."
    ),
    (
        "The names in scope are those of the step. All functions above work too, also as filters: "
        "`name | upper`."
    ),
    (
        "Nothing is escaped by itself: foreign texts go through `escape_markdown`, `escape_slack` "
        "or `safe_url`. Null prints as nothing, lists and maps as JSON."
    ),
    "A line that holds only tags leaves no empty line.",
)

RUN_STATES: Mapping[str, str] = {
    "pending": "to be taken up by a worker",
    "running": "a worker carries it on",
    "waiting": "held back before it begins, or one of its steps waits",
    "succeeded": "every step was performed or skipped, or failed with `on_error: continue`",
    "failed": "a step failed for good; `on_failure` is done",
    "cancelled": "somebody ended it; `on_cancel` is done",
    "skipped": "it never began: its `if`, a gate or the length of its chain; the reason is kept",
}

STEP_STATES: Mapping[str, str] = {
    "in_doubt": "its call may have taken effect, and nobody can tell; a person says",
}

ENGINE_ERRORS: Mapping[str, str] = {
    "approval_timeout": "Nobody decided in time.",
    "branch_cancelled": "A branch was cancelled and none failed.",
    "bug": "A fault of ours; please report it.",
    "called_run_failed": "The called run did not succeed.",
    "chain_too_long": "Too many runs stand before it in its chain.",
    "expression": "An expression or template cannot be evaluated with these values.",
    "invalid_facts": "What `emit` says does not fit the family of its type.",
    "invalid_inputs": "The called workflow does not take these inputs.",
    "invalid_params": "The parameters do not fit the action.",
    "poll_timeout": "`until` did not hold in time.",
    "rejected": "A person rejected it.",
    "reserved_type": "Only Hookwright makes events of this type.",
    "too_many_items": "The list is longer than `most`.",
    "unknown_action": "This version knows no such action.",
    "unknown_workflow": "There is no enabled workflow of this name.",
    "wait_timeout": "The awaited event did not come in time.",
    "worker_lost": "Its worker died in every attempt, and once more after the last.",
}

OWN_EVENTS: Mapping[str, str] = {
    "schedule.due": "a schedule is due; starts its workflow alone",
    "workflow.started": "somebody started a workflow by hand; starts it alone",
    "workflow.called": "a step calls a workflow; starts it alone",
    "run.failed": "a run failed, unless it was started by such an event or is a shadow run",
    "alert.opened": "an alert was opened, or got worse",
    "alert.acknowledged": "an alert was acknowledged",
    "alert.resolved": "an alert was resolved",
}

KEPT: Sequence[str] = (
    (
        "`hookwright apply` makes a version of each workflow that changed: the document, its "
        "template files and the vars it was given."
    ),
    (
        "A run keeps the version it began with until its end, also when it is retried. New events "
        "start the new one."
    ),
    "Schedules are those of the current version. An unchanged schedule keeps its next time.",
    "Connections belong to no version: a run uses their present address and credentials.",
)

EFFECTS: Sequence[str] = (
    (
        "Before something is changed outside it is written down with a key of its run, branch and "
        "step. All attempts of a step share it: a retry finds what was made and makes no second "
        "one."
    ),
    (
        "Each item of a `for_each` and each arm of a `parallel` is a branch with keys of its own. "
        "Two items never share an effect, and an item that is retried finds its own."
    ),
    "Comments, statuses and messages with a `key` are found again and updated, also by other runs.",
    (
        "What cannot be repeated safely and whose answer was lost is looked up, or the step is in "
        "doubt ([operations.md](operations.md#a-step-in-doubt))."
    ),
    "What has succeeded is not done again by `hookwright run retry`.",
    (
        "`mode: shadow`, or `HOOKWRIGHT_EFFECTS=shadow` for everything: reads are made, effects "
        "are recorded and not made, and what builds on them reads nulls."
    ),
)

LOST_WORKER: Mapping[str, str] = {
    "uses": (
        "The attempt counts. What it may have changed is found again or looked up before the next "
        "one, or the step is in doubt; a read is asked anew."
    ),
    "poll": "It is asked again; the deadline stays.",
    "approval": "The question is looked for where it was asked, not asked twice; the time stays.",
    "wait_for": "Nothing is lost: events that came meanwhile are looked through.",
    "sleep": "It ends when it would have ended.",
    "emit": "The event is there with its step, or neither is.",
    "call": "The called run is there with its step, or neither is.",
    "for_each": "Only the items in that worker's hands are taken over; the others go on.",
    "parallel": "Likewise its arms.",
    "concurrency, throttle": "A place in a queue is a row; the order stays.",
    "coalesce, debounce": "The event joins once; the window closes when it would have.",
    "cron": "The schedule starts its run and moves on in one transaction.",
    "on_failure, on_cancel": "They are steps like others.",
}

TESTING: Sequence[tuple[str, type[BaseModel]]] = (
    ("The file", testing.WorkflowTests),
    ("A case", testing.Case),
    ("What a case, or `defaults`, may give", testing.Given),
    ("An event", testing.GivenEvent),
    ("An outcome", testing.GivenAnswer),
    ("A failure", testing.GivenFailure),
    ("What happens `later`", testing.GivenLater),
    ("The end of a call", testing.GivenCall),
    ("What is expected", testing.Expected),
    ("An effect", testing.ExpectedEffect),
    ("An event that is emitted", testing.ExpectedEvent),
    ("An error", testing.ExpectedError),
)
