"""The limits of the workflow language, each from the module that keeps it, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.document import MOST_ITEMS
from service.gathering import MOST_EVENTS
from service.store.payloads import LARGE_BYTES
from service.workflow_tests import MOST_CASES
from service.workflows import cost, expressions, functions, syntax, template_budget, yaml_tree
from service.workflows.branching import MOST_RESULT_BYTES
from service.workflows.checks import DEEPEST_NESTING
from service.workflows.durations import LONGEST, MOST_ATTEMPTS
from service.workflows.own_steps import MOST_DEPTH
from service.workflows.template_syntax import DEEPEST_TREE, LONGEST_TEMPLATE
from service.workflows.transitions import LONGEST_PAUSE, LONGEST_PUT_OFF

_KIB = 1024
_MIB = 1024**2


def limits() -> Iterator[tuple[str, str]]:
    """Give what is limited, and how."""
    yield "A document", f"{yaml_tree.MOST_BYTES // _KIB} KiB, {yaml_tree.MOST_NODES:,} values"
    yield "Depth of a document's YAML", f"{yaml_tree.DEEPEST} levels"
    yield "`for_each` and `parallel` inside one another", str(DEEPEST_NESTING)
    yield "Items of a `for_each`", f"{MOST_ITEMS:,}; 1,000 unless `most` says otherwise"
    yield "What `collect` gathers", f"{MOST_RESULT_BYTES // _MIB} MiB; the rest is left out"
    yield "Events that one run gathers", f"{MOST_EVENTS:,}; it begins when it has so many"
    yield "Runs before one in its chain of events and calls", str(MOST_DEPTH)
    yield "A duration", f"{LONGEST.days} days"
    yield "`attempts`", str(MOST_ATTEMPTS)
    yield "How long `Retry-After` can hold a step up", f"{LONGEST_PAUSE.days} day"
    yield "How long rate limits put a step off", f"{LONGEST_PUT_OFF.days} day"
    yield "An expression", f"{expressions.LONGEST_SOURCE:,} characters, {syntax.DEEPEST} levels"
    yield (
        "Work of an expression",
        f"{cost.MOST_MICROSECONDS // 1_000_000} s, by a bound that is computed beforehand",
    )
    yield "Values in an expression", f"{cost.DEEPEST_VALUE} levels, {cost.MOST_ATOMS:,} characters"
    yield (
        "What an expression or function gives",
        f"{functions.MOST_CHARACTERS:,} characters, {functions.MOST_ELEMENTS:,} elements",
    )
    yield "`range(n)`", f"{functions.MOST_IN_RANGE:,} numbers"
    yield "A template", f"{LONGEST_TEMPLATE // _KIB} KiB, {DEEPEST_TREE} levels"
    yield (
        "Rendering a template",
        f"{template_budget.MOST_WORK:,} units of work, which is about a second",
    )
    yield "Cases of a test file over the API", f"{MOST_CASES}"
    yield (
        "A payload or output beside its row",
        f"{LARGE_BYTES // _KIB} KiB; larger ones stand compressed in a table of their own",
    )
