"""Pages that are made from the code are current, and every vendor is covered as it can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.errors import SignatureError
from service.signatures import PRESETS
from service.vendor_pages import KEPT, pages
from service.vendors import BY_NAME, VENDORS
from service.vendors.base import Delivery, Headers, Secret, Vendor
from tests.vendors import coverage

DOCS = Path(__file__).parents[2] / "docs"
PAGES = pages()
CELLS = [(row, column) for row in coverage.rows() for column in coverage.COLUMNS]

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name], "run `make docs`"


def test_there_is_no_page_of_a_vendor_that_is_gone() -> None:
    there = {path.name for path in (DOCS / "vendors").glob("*.md")}

    assert there == {f"{vendor.name}.md" for vendor in VENDORS} | KEPT


@every_vendor
def test_a_page_holds_what_a_person_needs(vendor: Vendor) -> None:
    page = PAGES[f"vendors/{vendor.name}.md"]

    assert page.startswith(f"# {vendor.title}\n")
    assert "## Here" in page
    for heading, there in (
        (f"## At {vendor.title}", vendor.incoming is not None),
        ("## Events", vendor.incoming is not None),
        ("## How a delivery is proven", vendor.incoming is not None),
        ("## To call it", vendor.outgoing is not None),
        ("## Limits we keep", vendor.outgoing is not None),
        ("## Actions", bool(vendor.actions)),
        ("## Polls", bool(vendor.polls)),
        ("## Reconciling", bool(vendor.records)),
    ):
        assert (heading in page) == there, heading
    assert "{url}" not in page


def test_the_time_in_a_table_of_schemes_is_that_of_the_scheme() -> None:
    generic = PAGES["vendors/generic.md"]
    rows = {line.split("`")[1]: line for line in generic.splitlines() if line.startswith("| `")}
    for name, scheme in PRESETS.items():
        timed = scheme.ts_source != "none" and scheme.tolerance_s is not None
        said = f"±{scheme.tolerance_s} s |" if timed else "not checked |"
        assert rows[name].endswith(said), name


@pytest.mark.parametrize("scheme", ["linear", "t-v1"])
def test_a_generic_source_takes_the_time_of_its_scheme(scheme: str) -> None:
    incoming = BY_NAME["generic"].incoming
    assert incoming is not None
    options = incoming.options.model_validate({"scheme": scheme})
    sent = datetime(2026, 5, 1, tzinfo=UTC)
    body = b'{"webhookTimestamp": %d}' % (sent.timestamp() * 1000)
    signed = incoming.sign(body, "s3cret", sent, options, event="a", delivery_id="b")
    headers = Headers([(name.lower(), value) for name, value in signed.headers])
    verify = incoming.verifier(options, [Secret("s3cret")])
    limit = timedelta(seconds=PRESETS[scheme].tolerance_s or 0)
    delivery = Delivery("any", headers, signed.body, sent)
    verify(delivery, sent + limit)
    with pytest.raises(SignatureError):
        verify(delivery, sent + limit + timedelta(seconds=2))


@every_vendor
def test_what_a_person_does_at_a_vendor_is_said(vendor: Vendor) -> None:
    guide = vendor.guide

    assert guide.pages or vendor.name == "generic"
    assert guide.configuration.strip()
    assert bool(guide.incoming) == (vendor.incoming is not None)
    assert bool(guide.outgoing) == (vendor.outgoing is not None)
    if vendor.incoming is not None:
        assert any("{url}" in step for step in guide.incoming)
    for sentence in (*guide.incoming, *guide.outgoing, *guide.notes):
        assert sentence == " ".join(sentence.split())
        assert sentence.endswith((".", "!", "?", ":")), sentence


def test_the_table_of_coverage_is_current() -> None:
    page = (DOCS / "vendors" / "coverage.md").read_text(encoding="utf-8")

    assert page == coverage.render(), "run `make docs`"
    assert "**missing**" not in page


@pytest.mark.parametrize(
    ("row", "column"), CELLS, ids=[f"{row.vendor.name}-{column}" for row, column in CELLS]
)
def test_no_cell_is_empty_that_can_be_filled(row: coverage.Row, column: str) -> None:
    why = coverage.why_empty(row.vendor, column)

    assert bool(row.cells[column]) == (why is None), why or "this vendor could do that"


@pytest.mark.parametrize(
    "vendor", [vendor for vendor in VENDORS if vendor.outgoing], ids=lambda vendor: vendor.name
)
def test_every_call_that_is_listed_has_its_method(vendor: Vendor) -> None:
    listed = coverage.listed(vendor.name)

    assert listed
    assert [call.by for call in listed if call not in coverage.covered(vendor)] == []
