"""The pages, as a browser meets them: what needs a person, and what is decided there."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlmodel import select

from schemas.ids import new_id
from schemas.run_tables import RunRow, StepRow, WaitRow
from service.queue import UnheardQueue
from service.tokens import Role, revoke_token
from service.unit_of_work import unit_of_work
from service.web.dashboard import app
from tests.integration.api.conftest import (
    NOW,
    Installation,
    make_alert,
    make_delivery,
    make_event,
    make_rejection,
    make_run,
    make_source,
    make_workflow,
)
from tests.integration.api.test_deciding import make_doubt
from tests.servers import NO_AUTHORITIES

HTML = {"Accept": "text/html,application/xhtml+xml"}


class Browser:
    """Somebody at the pages, with cookies; follows no redirect by itself."""

    def __init__(self, installation: Installation) -> None:
        url = str(installation.client.base_url.copy_with(path="/"))
        self.client = httpx.Client(base_url=url, headers=HTML, verify=NO_AUTHORITIES)

    def sign_in(self, token: str, **more: str) -> httpx.Response:
        return self.client.post("/sign-in", data={"token": token, **more})

    def see(self, path: str = "/") -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def form_key(self, path: str = "/") -> str:
        found = re.search(r'name="form_key" value="([0-9a-f]+)"', self.see(path))
        assert found is not None
        return found[1]

    def press(self, path: str, do: str, **more: Any) -> httpx.Response:
        fields = {"form_key": self.form_key(), "do": do, **more}
        return self.client.post(path, data=fields)


@pytest.fixture
def operator(face: Installation) -> Iterator[Browser]:
    browser = Browser(face)
    with browser.client:
        browser.sign_in(face.token_of(Role.OPERATOR))
        yield browser


@pytest.fixture
def stranger(face: Installation) -> Iterator[Browser]:
    browser = Browser(face)
    with browser.client:
        yield browser


# --- coming in --------------------------------------------------------------------------------


def test_who_has_not_signed_in_is_asked_to_and_comes_back(
    face: Installation, stranger: Browser
) -> None:
    path = f"/runs/{make_doubt(face).id}"
    asked = stranger.client.get(path)
    assert (asked.status_code, asked.headers["location"]) == (303, f"/sign-in?to={path}")
    form = stranger.client.get(asked.headers["location"])
    assert ".hookwright/admin.token" in form.text
    assert f'name="to" value="{path}"' in form.text
    back = stranger.sign_in(face.token, to=path)
    assert (back.status_code, back.headers["location"]) == (303, path)


def test_who_comes_back_finds_the_page_as_it_was_asked_for(
    face: Installation, stranger: Browser
) -> None:
    path = "/events?search=disk+full%21&cursor="
    asked = stranger.client.get(path)
    assert asked.headers["location"] == f"/sign-in?to={quote(path)}"
    form = stranger.client.get(asked.headers["location"])
    wanted = re.search(r'name="to" value="([^"]*)"', form.text)
    assert wanted is not None
    again = stranger.sign_in("hw_wrong", to=html.unescape(wanted[1]))
    assert html.escape(path) in again.text
    back = stranger.sign_in(face.token, to=html.unescape(wanted[1]))
    assert (back.status_code, back.headers["location"]) == (303, path)


def test_a_visit_is_kept_in_a_cookie_that_scripts_cannot_read(
    face: Installation, stranger: Browser
) -> None:
    cookie = stranger.sign_in(face.token).headers["set-cookie"].lower()
    assert {"httponly", "samesite=lax", "path=/"} <= set(cookie.split("; "))
    assert "secure" not in cookie
    assert face.token.lower() not in cookie


def test_behind_https_the_cookie_is_for_https_alone(face: Installation, stranger: Browser) -> None:
    stranger.client.headers["Host"] = "hooks.example"
    cookie = stranger.sign_in(face.token).headers["set-cookie"].lower()
    assert "secure" in cookie.split("; ")


def test_a_wrong_token_is_told_and_lets_nobody_in(stranger: Browser) -> None:
    answer = stranger.sign_in("hw_wrong")
    assert answer.status_code == 401
    assert "not known here" in answer.text
    assert "set-cookie" not in answer.headers


def test_tokens_cannot_be_tried_out(stranger: Browser) -> None:
    answers = [stranger.sign_in(f"hw_{number}") for number in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]


def test_signing_in_leads_to_a_page_of_ours_alone(face: Installation, stranger: Browser) -> None:
    for wanted in ("//evil.example/", "https://evil.example/", "/sign-out"):
        assert stranger.sign_in(face.token, to=wanted).headers["location"] == "/"


def test_a_visit_ends_with_its_token_with_time_and_by_signing_out(
    face: Installation, operator: Browser
) -> None:
    key = operator.form_key()
    cookies = dict(operator.client.cookies)
    out = operator.client.post("/sign-out", data={"form_key": key})
    assert out.headers["location"] == "/sign-in"
    assert operator.client.get("/").status_code == 303
    operator.client.cookies.update(cookies)
    face.now[0] = NOW + timedelta(hours=11)
    assert operator.client.get("/").status_code == 200
    face.now[0] = NOW + timedelta(hours=13)
    assert operator.client.get("/").status_code == 303


def test_a_revoked_token_ends_the_visit(face: Installation, operator: Browser) -> None:
    assert operator.client.get("/").status_code == 200
    with unit_of_work(face.database, UnheardQueue()) as work:
        revoke_token(work.session, "test", now=NOW)
    assert operator.client.get("/").status_code == 303


@pytest.mark.parametrize("value", ["", "x", "gAAAAABm", "\u00e9".encode().hex()])
def test_a_made_up_cookie_is_no_visit(stranger: Browser, value: str) -> None:
    stranger.client.cookies.set("hookwright_visit", value)
    assert stranger.client.get("/").status_code == 303


# --- what is shown ----------------------------------------------------------------------------


def test_nothing_needs_anybody(operator: Browser) -> None:
    assert "Nothing needs you" in operator.see()


def test_what_needs_a_person_is_on_one_page(face: Installation, operator: Browser) -> None:
    run = make_doubt(face)
    face.save(make_delivery(state="dead", error="its options are not usable", fault="flt_1a2b"))
    page = operator.see()
    assert "checksum.auto_heal" in page
    assert f"/runs/{run.id}" in page
    assert "its options are not usable" in page
    assert "fault=flt_1a2b" in page


@pytest.mark.parametrize(
    "error",
    [
        {"step": "note", "code": "refused", "message": "GitHub answered 403"},
        {"step": "", "code": "bug", "message": "could not be carried on", "fault": "flt_3c4d"},
    ],
)
def test_a_failed_run_tells_why_and_goes_on_from_there(
    face: Installation, operator: Browser, error: dict[str, str]
) -> None:
    event = make_event()
    workflow, version = make_workflow()
    run = make_run(event, version, status="failed", error=error, ended_at=NOW)
    face.save(event, workflow, version, run)
    for path in ("/", f"/runs/{run.id}"):
        page = operator.see(path)
        assert error["message"] in page
        assert error.get("fault", "") in page
        assert 'value="retry"' in page


def test_what_senders_wrote_is_only_text(face: Installation, operator: Browser) -> None:
    face.save(make_delivery(state="dead", error='<script>alert(1)</script>"><img src=x>'))
    page = operator.see()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_page_loads_nothing_from_elsewhere(face: Installation, operator: Browser) -> None:
    policy = operator.client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "script" not in policy
    assert "http" not in re.sub(r'value="[^"]*"', "", operator.see())
    style = operator.client.get("/style.css")
    assert style.headers["content-type"].startswith("text/css")
    told = face.client.get("/runs").headers["content-security-policy"]
    assert told == "default-src 'none'; frame-ancestors 'none'"


def test_whoever_reads_no_html_gets_words(stranger: Browser) -> None:
    answer = stranger.client.get("/", headers={"Accept": "*/*"})
    assert answer.text.startswith("Hookwright is running.")


def test_what_is_not_there_is_told_on_a_page(operator: Browser) -> None:
    for path in (f"/runs/{new_id()}", "/runs/nothing", "/nope", "/nope/"):
        answer = operator.client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "There is nothing" in answer.text
    assert operator.client.get("/refused").status_code == 405
    assert "There is nothing" in operator.client.get("/refused").text


def test_programs_are_told_as_json_what_is_not_there(stranger: Browser) -> None:
    for path, accepts in (
        ("/api/v1/nope", HTML),
        ("/api/nope", HTML),
        ("/nope", {"Accept": "*/*"}),
    ):
        answer = stranger.client.get(path, headers=accepts)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_what_stands_between_backticks_is_code(face: Installation, operator: Browser) -> None:
    told = "there is no connection (add one under `connections:` with `vendor: <b>`), `"
    event = make_event()
    workflow, version = make_workflow()
    error = {"step": "note", "code": "configuration", "message": told}
    run = make_run(event, version, status="failed", error=error, ended_at=NOW)
    face.save(event, workflow, version, run)
    shown = "under <code>connections:</code> with <code>vendor: &lt;b&gt;</code>), `"
    for path in ("/", f"/runs/{run.id}"):
        assert shown in operator.see(path)


# --- what is decided --------------------------------------------------------------------------


@pytest.mark.parametrize(("do", "status"), [("took_effect", "succeeded"), ("not_made", "pending")])
def test_a_step_in_doubt_is_settled_with_a_button(
    face: Installation, operator: Browser, do: str, status: str
) -> None:
    run = make_doubt(face)
    answer = operator.press(f"/runs/{run.id}", do, step="heal", back="/")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?done={do}&count=0")
    (step,) = face.get(f"/runs/{run.id}")["steps"]
    assert step["status"] == status
    assert 'role="status"' in operator.see(answer.headers["location"])
    again = operator.press(f"/runs/{run.id}", do, step="heal")
    assert again.status_code == 409
    assert "is not in doubt" in again.text


def test_what_took_effect_is_given_its_output(face: Installation, operator: Browser) -> None:
    run = make_doubt(face)
    path = f"/runs/{run.id}"
    for no_json in ("{", "[" * 20_000):
        wrong = operator.press(path, "took_effect", step="heal", output=no_json)
        assert wrong.status_code == 422
        assert "no JSON" in wrong.text
    operator.press(path, "took_effect", step="heal", output='{"batch_id": "b-17"}')
    (step,) = face.get(path)["steps"]
    assert step["output"]["batch_id"] == "b-17"


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {"form_key": "0" * 64}),
        ({}, {"form_key": ""}),
        ({"Origin": "https://evil.example"}, {}),
        ({"Sec-Fetch-Site": "cross-site"}, {}),
        ({"Sec-Fetch-Site": "same-site"}, {}),
    ],
)
def test_only_our_own_forms_decide(
    face: Installation, operator: Browser, headers: dict[str, str], fields: dict[str, str]
) -> None:
    run = make_doubt(face)
    form = {"form_key": operator.form_key(), "do": "not_made", "step": "heal", **fields}
    answer = operator.client.post(f"/runs/{run.id}", data=form, headers=headers)
    assert answer.status_code == 403
    (step,) = face.get(f"/runs/{run.id}")["steps"]
    assert step["status"] == "in_doubt"


def test_a_viewer_looks_and_decides_nothing(face: Installation, stranger: Browser) -> None:
    run = make_doubt(face)
    stranger.sign_in(face.token)
    assert "It took effect" not in stranger.see()
    assert stranger.press(f"/runs/{run.id}", "not_made", step="heal").status_code == 403
    (step,) = face.get(f"/runs/{run.id}")["steps"]
    assert step["status"] == "in_doubt"


def test_a_button_of_no_page_is_refused(face: Installation, operator: Browser) -> None:
    run = make_doubt(face)
    answer = operator.press(f"/runs/{run.id}", "explode")
    assert answer.status_code == 422
    assert "nothing that can be done" in answer.text


def test_a_form_that_no_page_has_is_refused(operator: Browser) -> None:
    assert operator.press("/refused", "verify_again", source="x" * 300).status_code == 422


def test_a_mistake_of_ours_is_told_with_its_reference(
    operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "read_needs", lambda *_: 1 / 0)
    answer = operator.client.get("/")
    assert answer.status_code == 500
    assert "text/html" in answer.headers["content-type"]
    assert "flt_" in answer.text
    assert "Traceback" not in answer.text
    assert "ZeroDivision" not in answer.text


def test_a_run_is_cancelled_and_retried_on_its_page(face: Installation, operator: Browser) -> None:
    run = make_doubt(face)
    path = f"/runs/{run.id}"
    assert "Cancel the run" in operator.see(path)
    assert operator.press(path, "cancel").status_code == 303
    assert face.get(path)["cancel_requested"]
    assert "Cancel the run" not in operator.see(path)
    assert operator.press(path, "retry").status_code == 409


def test_an_alert_is_taken_on_and_is_over_with_a_button(
    face: Installation, operator: Browser
) -> None:
    alert = make_alert()
    face.save(alert)
    for do, state in (("acknowledge", "acknowledged"), ("resolve", "resolved")):
        assert operator.press(f"/alerts/{alert.id}", do).status_code == 303
        assert face.get(f"/alerts/{alert.id}")["state"] == state


def test_a_dead_delivery_is_read_anew_with_a_button(face: Installation, operator: Browser) -> None:
    delivery = make_delivery(vendor="vibeview", state="dead", error="broken", body=b"{}")
    face.save(make_source(), delivery)
    assert "Read it anew" in operator.see()
    answer = operator.press(f"/deliveries/{delivery.id}", "replay")
    assert answer.status_code == 303, answer.text
    assert face.get(f"/deliveries/{delivery.id}")["replays"] == 1


def test_a_delivery_that_cannot_be_read_still_says_why(
    face: Installation, operator: Browser
) -> None:
    source = make_source()
    delivery = make_delivery(source_id=source.id, state="malformed", error="old", body=b"no json")
    face.save(source, delivery)
    answer = operator.press(f"/deliveries/{delivery.id}", "replay")
    page = operator.see(answer.headers["location"])
    error = face.get(f"/deliveries/{delivery.id}")["error"]
    assert error != "old"
    told = html.unescape(page)
    assert f'<p class="done bad" role="alert">It is still malformed: {error}' in told
    assert "was read anew" not in page
    for nothing in ("", "x", str(new_id())):
        page = operator.see(f"/?done=still_unread&of={nothing}")
        assert "done bad" not in page


def test_a_doubt_of_a_cancelled_run_stays_until_somebody_says_what_happened(
    face: Installation, operator: Browser
) -> None:
    run = make_doubt(face)
    with unit_of_work(face.database, UnheardQueue()) as work:
        row = work.session.get_one(RunRow, run.id)
        row.status, row.ended_at = "cancelled", NOW
        work.session.delete(work.session.exec(select(WaitRow)).one())
    for path in ("/", f"/runs/{run.id}"):
        page = operator.see(path)
        assert "It took effect" in page
        assert "Look it up again" not in page
    answer = operator.press(f"/runs/{run.id}", "took_effect", step="heal", back="/")
    page = operator.see(answer.headers["location"])
    assert "The run stays as it ended" in page
    assert "Nothing needs you" in page
    assert face.get("/alerts")["data"][0]["state"] == "resolved"


def test_two_alike_are_told_apart_by_run_and_subject(face: Installation, operator: Browser) -> None:
    run = make_doubt(face)
    event = make_event("another", subject="run_2")
    workflow, version = make_workflow("another")
    failed = make_run(event, version, workflow="another", status="failed", ended_at=NOW)
    face.save(event, workflow, version, failed)
    page = operator.see()
    for told, subject in ((run, "run_1"), (failed, "run_2")):
        assert f"run <code>{str(told.id)[:18]}</code> · {subject}" in page
    # Neither answer looks like the one that is expected.
    assert len(set(re.findall(r'<button name="do" value="(?:took|not)_\w+"(.*?)>', page))) == 1
    assert 'class="quiet">It was not made' in page


def test_what_was_refused_is_shown_by_reason_and_verified_again(
    face: Installation, operator: Browser
) -> None:
    for number in range(3):
        row = make_rejection(source="vibeview", reason="signature", detail=f"try {number}")
        row.received_at = NOW + timedelta(seconds=number)
        face.save(row)
    face.save(make_rejection(source="-", reason="unknown_source"))
    assert "Refused" not in operator.see()
    face.save(make_source())
    page = operator.see()
    assert "3 requests" in page
    assert "try 2" in page
    assert "unknown" not in page
    answer = operator.press("/refused", "verify_again", source="vibeview", reason="signature")
    assert answer.headers["location"] == "/?done=verify_again&count=0"
    assert "accepted now: 0" in operator.see(answer.headers["location"])


@pytest.mark.parametrize("count", ["<b>", "-1", "9" * 400])
def test_the_address_says_nothing_on_a_page(operator: Browser, count: str) -> None:
    page = operator.client.get("/", params={"done": "verify_again", "count": count}).text
    assert "accepted now: 0" in page
    assert 'role="status"' not in operator.client.get("/", params={"done": "explode"}).text


# --- many decisions ---------------------------------------------------------------------------


def make_decisions(face: Installation, count: int) -> list[RunRow]:
    """Store runs that wait for a decision, each a minute after the one before."""
    event = make_event()
    workflow, version = make_workflow()
    face.save(event, workflow, version)
    runs = []
    for number in range(count):
        run = make_run(event, version, status="waiting", replay=number)
        since = NOW - timedelta(minutes=count - number)
        step = StepRow(run_id=run.id, step="ok", position=0, kind="approval", status="waiting")
        face.save(run, step, WaitRow(run_id=run.id, step="ok", kind="approval", since=since))
        runs.append(run)
    return runs


def asked_of(page: str) -> list[str]:
    """The runs whose decisions a page shows, in order."""
    return re.findall(r'<h3><a href="/runs/([^"]+)">', page)


def test_of_many_decisions_the_newest_are_first_and_all_are_found(
    face: Installation, operator: Browser
) -> None:
    newest = [str(run.id) for run in reversed(make_decisions(face, 23))]
    first = operator.see()
    assert "The newest 20 of 23 runs are here" in first
    assert 'href="/decisions"' in first
    assert asked_of(first) == newest[:20]
    page = operator.see("/decisions")
    assert "23 runs wait for one" in page
    assert asked_of(page) == newest[:20]
    more = re.search(r'href="(/decisions\?[^"]+)" rel="next"', page)
    assert more is not None
    rest = operator.see(html.unescape(more[1]))
    assert ("23 runs wait" in rest, asked_of(rest)) == (True, newest[20:])
    assert 'rel="next"' not in rest
    # A decision leads back to where it was made.
    back = re.search(r'name="back" value="([^"]+)"', rest)
    assert back is not None
    form = {"step": "ok", "back": html.unescape(back[1])}
    done = operator.press(f"/runs/{newest[-1]}", "approve", **form)
    assert done.headers["location"] == f"{form['back']}&done=approve&count=0"
    after = operator.see(done.headers["location"])
    # No worker has carried the run on, so that it waits still.
    assert ('role="status"' in after, asked_of(after)) == (True, newest[20:])
    for nowhere in ("x", "x" * 101):
        assert operator.client.get(f"/decisions?cursor={nowhere}").status_code == 422


def test_when_no_decision_waits_the_page_says_so(operator: Browser) -> None:
    assert "No decision waits" in operator.see("/decisions")


# --- events, and how much there was -----------------------------------------------------------


def test_events_are_searched_a_page_at_a_time(face: Installation, operator: Browser) -> None:
    face.save(*(make_event(f"key-{number}", facts={"title": "checkout"}) for number in range(21)))
    face.save(make_event("other", subject="the <b>other</b> one"))
    everything = operator.see("/events")
    assert "22 events" in everything
    assert "the &lt;b&gt;other&lt;/b&gt; one" in everything
    found = operator.see("/events?search=CHECKOUT")
    assert ("21 events with these words" in found, 'value="CHECKOUT"' in found) == (True, True)
    more = re.search(r'href="(/events\?[^"]+)"', found)
    assert more is not None
    rest = operator.see(html.unescape(more[1]))
    assert rest.count("hookwright event show") == 1
    assert "No event has all of these words" in operator.see("/events?search=nowhere")
    assert operator.client.get(f"/events?search={'x' * 201}").status_code == 422


def test_the_first_page_says_how_much_there_was(face: Installation, operator: Browser) -> None:
    workflow, version = make_workflow()
    event = make_event()
    face.save(workflow, version, event, make_run(event, version))
    shown = re.sub(r"<[^>]+>", " ", operator.see())
    assert "1 event " in shown
    assert 'href="/events">Events' in operator.see()
    assert re.search(r"heal\s+1\s+0\s+0", shown)
