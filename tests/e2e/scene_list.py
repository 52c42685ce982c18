"""A scene for each construct of the language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.e2e.scenes import (
    AskedInSlack,
    AwaitedBefore,
    ByHand,
    Cancelled,
    Gathered,
    Polled,
    Retried,
    Scene,
    Scheduled,
    Several,
    branches,
    decide,
    has_asked,
    merge,
    press,
    waits,
)


def soon(seconds: float) -> str:
    """Give a moment so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def every_scene() -> list[Scene]:
    """Give a scene for each construct; all of them can be in their middle at once."""
    both = ("begun", "ended")
    return [
        Scene(
            "event-trigger",
            "build.broken",
            {"branch": "main"},
            held=("generic.build",),
            messages=("generic.build.broken on main",),
        ),
        Scheduled("cron", held=("schedule.due",)),
        ByHand("manual", held=("smoke",), messages=("smoke x 3",)),
        Scene(
            "condition-and-vars",
            "measured",
            {"score": 5},
            held=("page @web",),
            messages=("page @web", "tell @web, page is succeeded"),
        ),
        Scene(
            "sequence",
            "sequence",
            held=("second",),
            messages=("second after ", "third"),
            comments=("first",),
        ),
        Scene(
            "parallel",
            "release",
            held=("released",),
            messages=("released", "notes", "2 of 2, comment "),
            comments=("released",),
            is_middle=branches(under_way=2),
        ),
        Scene(
            "for-each",
            "deployed",
            {"services": [f"s{number}" for number in range(7)]},
            held=("look at s2", "look at s3"),
            messages=(
                "7 of 7: 0-s0",
                *(f"look at s{number}" for number in range(7)),
            ),
            is_middle=branches(total=7, succeeded=2, under_way=2),
            in_order=False,
        ),
        Retried("retry", "retried", comments=("tried",), is_middle=waits("retry")),
        Scene("timeout", "timed", held=("told late",), messages=("told late",)),
        Polled("poll", "committed", messages=("found ",), is_middle=has_asked),
        Scene(
            "wait-for",
            "pull.opened",
            {"pause": "1ms", "patience": "5m"},
            messages=("merged by dana",),
            is_middle=waits("event"),
            after=merge,
        ),
        AwaitedBefore(
            "wait-for",
            "pull.opened",
            {"pause": "30s", "patience": "5m"},
            messages=("merged by early",),
            is_middle=waits("sleep"),
        ),
        Scene(
            "sleep",
            "slept",
            {"until": soon(30)},
            messages=("awake",),
            is_middle=waits("sleep"),
        ),
        Scene(
            "approval",
            "risky",
            messages=("approved true, go",),
            is_middle=waits("approval"),
            after=decide,
        ),
        AskedInSlack("approval-in-slack", "riskier", messages=("approved true",), after=press),
        Scene(
            "approval-in-slack",
            "riskier",
            messages=("approved true",),
            is_middle=waits("approval"),
            after=press,
        ),
        Scene(
            "emit",
            "looked",
            {"score": 7},
            held=("emitted", "heard"),
            messages=("emitted", "heard 7"),
            in_order=False,
        ),
        Scene(
            "on-failure",
            "doomed",
            held=("comment failed",),
            messages=("comment failed",),
            status="failed",
        ),
        Cancelled(
            "on-cancel",
            "cancellable",
            held=("cleaned up",),
            messages=("begun", "cleaned up"),
            status="cancelled",
        ),
        Scene(
            "template",
            "report",
            {"services": ["web"]},
            held=("1 services",),
            messages=("1 services\n- web",),
        ),
        Scene(
            "calling",
            "calling",
            held=("audited",),
            messages=("audited to depth 3", "the audit says good to 3"),
            is_middle=waits("call"),
        ),
        Several(
            "concurrency-queue",
            "concurrency.queue",
            held=("begun",),
            waits=("running", "queue"),
            said=((both, both),),
        ),
        Several(
            "concurrency-skip",
            "concurrency.skip",
            held=("begun",),
            waits=("running", "skipped"),
            statuses=("succeeded", "skipped"),
            said=((both, ()),),
        ),
        Several(
            "concurrency-replace",
            "concurrency.replace",
            held=("begun",),
            waits=("running", "queue"),
            statuses=("cancelled", "succeeded"),
            said=((("begun",), both), ((), both)),
        ),
        Several(
            "throttle",
            "throttled.wait",
            count=3,
            key_name="group",
            waits=("succeeded", "succeeded", "throttle"),
            statuses=("succeeded",) * 3,
            said=((("told",),) * 3,),
        ),
        Several(
            "throttle-skip",
            "throttled.skip",
            count=3,
            key_name="group",
            waits=("succeeded", "succeeded", "skipped"),
            statuses=("succeeded", "succeeded", "skipped"),
            said=((("told",), ("told",), ()),),
        ),
        Gathered(
            "debounce",
            "document.saved",
            messages=("4 times, last v3",),
            is_middle=waits("gathering"),
        ),
        Gathered(
            "coalesce",
            comments=("4 differences: c0 c1 c2 c3",),
            is_middle=waits("gathering"),
        ),
    ]
