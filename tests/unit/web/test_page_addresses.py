"""Which addresses are the pages', and to which of them somebody is led back."""

from __future__ import annotations

import pytest

from service.web.dashboard.addresses import LONGEST, is_page, own_page

RUN = "/runs/01a2052e-f8b6-72f7-ae7e-63d2f241c817"
HTML = "text/html,*/*;q=0.8"


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/?done=retry&count=0",
        "/events",
        "/events?search=disk+full",
        "/events?search=//evil.example",
        "/events?search=%0d%0a",
        "/decisions?cursor=a",
        RUN,
        f"{RUN}?done=retry",
    ],
)
def test_one_is_led_back_to_a_page_of_ours_with_its_query(address: str) -> None:
    assert own_page(address) == address


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "events",
        "//evil.example",
        "//evil.example/events",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "https://evil.example/",
        "https:/events",
        "javascript:alert(1)",
        "/events@evil.example",
        "/events/../..//evil.example",
        "/events\n",
        "/events?search=\r\nSet-Cookie:%20x=y",
        "/events?search=a b",
        "/events?search=\u00e9",
        "/events#//evil.example",
        " /events",
        "/.evil.example",
        "/sign-out",
        "/sign-in?to=/",
        "/refused",
        "/api/v1/runs",
        f"{RUN}/x",
        "/runs/nothing",
        "/events?search=" + "x" * LONGEST,
    ],
)
def test_of_any_other_address_one_is_led_to_the_first_page(address: str | None) -> None:
    assert own_page(address) == "/"


@pytest.mark.parametrize(
    ("path", "accept", "expected"),
    [
        ("/", HTML, True),
        ("/", "*/*", False),
        ("/events", "*/*", True),
        ("/nope", HTML, True),
        ("/nope", "application/json", False),
        ("/apiary", HTML, True),
        ("/api", HTML, False),
        ("/api/v1/nope", HTML, False),
        ("//api/v1/nope", HTML, False),
        ("/hooks", HTML, False),
        ("/hooks/", HTML, False),
        ("/schemas/nope", HTML, False),
        ("/health/nope", HTML, False),
    ],
)
def test_what_reads_html_is_shown_pages_and_programs_have_their_own(
    path: str, accept: str, *, expected: bool
) -> None:
    assert is_page(path, accept) is expected
