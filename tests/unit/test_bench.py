"""The benchmark's judgement: what keeps its bound, what is void, what is written down."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import __main__ as command
from bench import report, rounds
from bench.figures import Figure, Unit, Verdict, Wanted
from bench.lists import questions_of
from bench.loading import Answers, Load
from bench.payload import BODY, body_of
from bench.plot import COLOURS
from bench.receivers import Running
from bench.report import Extent

FASTER = Wanted("door/verify", "door ÷ another", 0.6)
UNBOUND = Wanted("door/other", "door ÷ one more")
SLOWER = Wanted("idle/p99", "from <event> to call", 120.0, Unit.MILLISECONDS, at_most=True)


def answers(
    *,
    good: int = 0,
    unproven: int = 0,
    others: int = 0,
    unread: int = 32,
    load_cpu: float = 0.3,
) -> Answers:
    return Answers(
        seconds=1.0,
        good=good,
        unproven=unproven,
        others=others,
        p50_ms=1.0,
        p99_ms=2.0,
        load_cpu=load_cpu,
        unread=unread,
    )


class Rows(Running):
    """A receiver that has so many rows by now."""

    stored = 0

    def rows(self) -> int | None:
        return self.stored


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure(FASTER, [0.5, 0.61, 0.9]), Verdict.KEPT),
        (Figure(FASTER, [0.5, 0.59, 0.9]), Verdict.MISSED),
        (Figure(SLOWER, [300.0, 100.0, 110.0]), Verdict.KEPT),
        (Figure(SLOWER, [121.0]), Verdict.MISSED),
        (Figure(FASTER, [0.9], void="10 answers 2xx and 9 rows"), Verdict.VOID),
        (Figure(FASTER, absent="`webhook` is not installed"), Verdict.NOT_MEASURED),
        (Figure(UNBOUND, [7.0]), Verdict.UNBOUND),
    ],
)
def test_the_median_of_the_rounds_is_held_against_the_bound(
    figure: Figure, verdict: Verdict
) -> None:
    assert figure.verdict is verdict


@pytest.mark.parametrize(
    ("signature", "seen", "stored", "balances"),
    [
        ("", answers(good=100), 100, True),
        ("", answers(good=100), 132, True),
        ("", answers(good=100), 133, False),
        ("", answers(good=100), 99, False),
        ("", answers(good=100, others=1), 101, False),
        ("", answers(good=100, unproven=1), 100, False),
        ("", answers(good=100, unread=0), 101, False),
        ("", answers(good=100, load_cpu=0.97), 100, False),
        ("wrong", answers(unproven=100), 0, True),
        ("wrong", answers(unproven=100), 1, False),
        ("wrong", answers(unproven=99, good=1), 1, False),
        ("", answers(), 0, False),
        ("wrong", answers(), 0, False),
    ],
)
def test_a_round_counts_when_every_answer_is_a_row_and_the_load_had_more_to_send(
    signature: str, seen: Answers, stored: int, *, balances: bool
) -> None:
    receiver = Rows(1, table="deliveries")
    object.__setattr__(receiver, "stored", 7 + stored)

    fault = rounds.fault_of(Load(1, 1.0, signature=signature), seen, receiver, 7)

    assert (fault == "") is balances


def test_what_was_measured_is_written_as_table_data_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "performance.md"
    document.write_text("Before\n<!-- bench: by the bench -->\nold\n<!-- /bench -->\nAfter\n")
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "DOCUMENT", document)
    figures = [
        Figure(FASTER, [0.61, 0.7, 0.5], note="seen"),
        Figure(SLOWER, [300.0], void="no books"),
        Figure(UNBOUND, absent="not installed"),
    ]
    samples = [{"what": "door"}]
    written = report.Report({"commit": "abc"}, figures, samples, 90.0, Extent.WHOLE)

    table, data, picture = report.write(written)
    report.publish(written)

    row = "| door ÷ another | ≥ 0.60 | **0.61** | 0.50 to 0.70, of 3 | yes |"
    assert row in table.read_text()
    assert row in document.read_text()
    assert document.read_text().startswith("Before\n<!-- bench: by the bench -->\nMeasured on ")
    assert document.read_text().endswith("<!-- /bench -->\nAfter\n")
    assert "old" not in document.read_text()
    kept = json.loads(data.read_text())
    assert [one["kept"] for one in kept["figures"]] == ["kept", "void", "not_measured"]
    assert kept["samples"] == [{"what": "door"}]
    drawn = [element.text for element in ET.fromstring(picture.read_text()).iter()]  # noqa: S314  # our own
    assert {"from <event> to call", "door ÷ one more", "not measured"} <= set(drawn)
    assert any(str(text).endswith("commit abc.") for text in drawn)


def test_a_quick_run_is_written_beside_the_last_whole_one_and_judges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    figures = [Figure(FASTER, [0.5]), Figure(FASTER, [0.5], void="no books")]

    table, _, picture = report.write(report.Report({}, figures, (), 9.0, Extent.QUICK))

    assert [path.name for path in (table, picture)] == ["quick.md", "quick.svg"]
    assert table.read_text().count("| **0.50** |  | — |") == 1
    assert table.read_text().count("| **0.50** |  | VOID |") == 1
    assert COLOURS[Verdict.MISSED] not in picture.read_text()
    assert "its figures mean nothing" in picture.read_text()


def test_a_list_or_filter_that_no_value_is_known_for_is_named() -> None:
    def list_of(*filters: dict[str, object]) -> dict[str, object]:
        parameters = [{"name": "cursor", "in": "query", "schema": {}}, *filters]
        answer: dict[str, object] = {"200": {"content": {"application/json": {}}}}
        return {"get": {"parameters": parameters, "responses": answer}}

    state = {"anyOf": [{"$ref": "#/components/schemas/State"}, {"type": "null"}]}
    openapi = {
        "components": {"schemas": {"State": {"enum": ["open", "closed"]}}},
        "paths": {
            "/api/v1/things": list_of(
                {"name": "state", "in": "query", "schema": state},
                {"name": "vendor", "in": "query", "schema": {"type": "string"}},
                {"name": "subject", "in": "query", "schema": {"type": "string"}},
                {"name": "type", "in": "query", "schema": {"type": "string"}},
                {"name": "flavour", "in": "query", "schema": {"type": "string"}},
            ),
            "/api/v1/things/{thing_id}": list_of(),
            "/version": {"get": {"responses": {"200": {}}}},
        },
    }

    unknown, asked = questions_of(openapi)

    urls = [one.url() for one in asked]
    assert unknown == ["flavour of /api/v1/things"]
    assert "/api/v1/things?state=closed" in urls
    assert "/api/v1/things?state=open&vendor=github" in urls
    assert "/api/v1/things?subject=subject-hot&type=rare.%2A" in urls
    assert not any("search=" in url for url in urls)
    assert {url.partition("?")[0] for url in urls} == {"/api/v1/things"}


def test_a_part_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    every = {wanted.name for one in command.MEASUREMENTS for wanted in one.figures}

    assert command.chosen(None) == every
    assert command.chosen(["door/verify"]) == {"door/verify"}
    assert command.chosen(["idle"]) == {name for name in every if name.startswith("idle/")}
    with pytest.raises(SystemExit, match="there is no dor; measurements are door, workers"):
        command.chosen(["dor"])


@pytest.mark.parametrize("size", [400, 512, 2048])
def test_a_body_has_the_size_that_was_asked_for(size: int) -> None:
    assert len(body_of(size)) == size
    assert len(BODY) == 2048


@pytest.mark.parametrize(
    "part", [["--quick"], ["--rounds", "2"], ["--only", "door"], ["--seconds", "1"]]
)
def test_a_part_of_a_run_is_not_published(part: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "--publish", *part])
    with pytest.raises(SystemExit, match="a whole run"):
        command.main()
