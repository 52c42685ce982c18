"""A fault is logged once with its traceback, and known by a short reference everywhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from sqlalchemy.exc import DBAPIError
from structlog.testing import LogCapture
from structlog.types import EventDict

from service.faults import note_fault, to_do


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    capture = LogCapture()
    structlog.configure(processors=[structlog.processors.format_exc_info, capture])
    yield capture.entries
    structlog.reset_defaults()


def test_the_traceback_is_logged_once_under_the_reference(
    lines: list[EventDict],
) -> None:
    error = KeyError("id")
    reference = note_fault(error, "normalise_raised", delivery_id="d1")
    assert note_fault(error, "request_failed") == reference
    (line,) = lines
    assert (line["event"], line["fault"], line["delivery_id"]) == (
        "normalise_raised",
        reference,
        "d1",
    )
    assert "KeyError: 'id'" in line["exception"]
    assert reference in to_do(reference)


def test_two_faults_have_two_references(lines: list[EventDict]) -> None:
    first, second = note_fault(KeyError("a")), note_fault(KeyError("a"))
    assert first != second
    assert [line["fault"] for line in lines] == [first, second]
    assert all(
        reference.startswith("flt_") and len(reference) <= 20 for reference in (first, second)
    )


def test_what_a_statement_was_to_store_is_not_logged(
    lines: list[EventDict],
) -> None:
    error = RuntimeError("while storing")
    error.__cause__ = DBAPIError("INSERT INTO x", {"body": "swordfish"}, Exception("no"))
    note_fault(error)
    (line,) = lines
    assert "INSERT INTO x" in line["exception"]
    assert "swordfish" not in line["exception"]
