"""What is logged: one form for every line, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from service.log import bound, configure_logging
from service.settings import Settings


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_line_is_one_json_object_with_time_level_and_logger(stream: io.StringIO) -> None:
    configure_logging(Settings(), stream=stream)
    structlog.get_logger("service.runs").info("run_ended", run_id="r1", status="failed")
    logging.getLogger("uvicorn.error").warning("port %s", 8080)
    ours, theirs = read(stream)
    assert (ours["event"], ours["run_id"], ours["level"]) == ("run_ended", "r1", "info")
    assert ours["logger"] == "service.runs"
    assert ours["time"].endswith("Z")
    assert (theirs["event"], theirs["logger"]) == ("port 8080", "uvicorn.error")


def test_secrets_are_struck_out_by_name_and_by_form(stream: io.StringIO) -> None:
    configure_logging(Settings(), stream=stream)
    log = structlog.get_logger("service")
    log.warning(
        "call_failed",
        authorization="Bearer abc.def",
        headers={"x-api-key": "swordfish", "accept": "*/*"},
        error="refused: xoxb-1234567890-swordfish and ghp_swordfishswordfish",
        bot_token="swordfish",
        delivery_key="kept",
    )
    logging.getLogger("httpx").warning("GET https://u:swordfish@host/ hw_swordfishswordfish")
    assert "swordfish" not in stream.getvalue()
    line = read(stream)[0]
    assert line["authorization"] == "[redacted]"
    assert (line["headers"]["accept"], line["delivery_key"]) == ("*/*", "kept")


def test_tracebacks_are_struck_clean_as_well(stream: io.StringIO) -> None:
    configure_logging(Settings(), stream=stream)
    try:
        int("whsec_swordfishswordfish")
    except ValueError:
        structlog.get_logger("service").exception("failed")
    assert "swordfish" not in stream.getvalue()
    assert "ValueError" in read(stream)[0]["exception"]


def test_ids_are_bound_once_for_every_line_of_a_block(stream: io.StringIO) -> None:
    configure_logging(Settings(), stream=stream)
    with bound(request_id="q1"):
        logging.getLogger("any").warning("inside")
    logging.getLogger("any").warning("outside")
    inside, outside = read(stream)
    assert inside["request_id"] == "q1"
    assert "request_id" not in outside


def test_the_level_holds_for_us_and_quiet_libraries_stay_quiet(stream: io.StringIO) -> None:
    configure_logging(Settings(log_level="info"), stream=stream)
    structlog.get_logger("service").debug("detail")
    logging.getLogger("alembic.runtime.migration").info("Running upgrade")
    assert stream.getvalue() == ""
    configure_logging(Settings(log_level="debug"), stream=stream)
    structlog.get_logger("service").debug("detail")
    assert read(stream)[0]["event"] == "detail"


def test_people_at_a_terminal_get_text(stream: io.StringIO) -> None:
    configure_logging(Settings(log_format="console"), stream=stream)
    structlog.get_logger("service").info("run_ended", run_id="r1")
    said = stream.getvalue()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d \[info +\] run_ended +run_id=r1\n", re.sub(r"\x1b\[[0-9;]*m", "", said)
    ), said


def test_a_queue_that_is_away_is_said_once_a_minute_and_calmly(stream: io.StringIO) -> None:
    now = [0.0]
    configure_logging(Settings(), stream=stream, monotonic=lambda: now[0])

    def cry() -> None:
        for queue in ("ingest", "runs", "polls"):
            logging.getLogger(f"dramatiq.worker.ConsumerThread({queue})").critical(
                "Consumer encountered a connection error: %s", "refused"
            )

    cry()
    now[0] = 59.0
    cry()
    (line,) = read(stream)
    assert (line["event"], line["level"], line["error"]) == ("queue_away", "warning", "refused")
    now[0] = 61.0
    cry()
    assert len(read(stream)) == 2
    logging.getLogger("dramatiq.worker.WorkerThread").critical("something else")
    assert read(stream)[-1]["event"] == "something else"


def test_what_prints_headers_stays_quiet_even_for_a_developer(stream: io.StringIO) -> None:
    configure_logging(Settings(log_level="debug"), stream=stream)
    logging.getLogger("httpcore.http11").debug("receive_response_headers [b'location', b'x?key']")
    logging.getLogger("httpx").info("HTTP Request: GET https://x")
    logging.getLogger("dramatiq").debug("a library that is heard")
    assert [line["event"] for line in read(stream)] == ["a library that is heard"]
