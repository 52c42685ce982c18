"""What one connection's client does with every kind of answer and failure."""

import gzip
import json
from datetime import datetime, timedelta

import httpx
import pytest

from service.call_rates import MARGIN_S
from service.errors import (
    ConfigurationError,
    HookwrightError,
    Permanent,
    RateLimited,
    Refused,
    TimedOut,
    Transient,
    Unreachable,
    VendorBroken,
)
from service.http import VendorHttp, path_of
from service.http_transport import _left, deadline
from service.vendors.base import Token
from tests.unit.http.conftest import Client
from tests.unit.http.scripted import FakeTime, Script

OK = httpx.Response(200, json={"ok": True})


def test_a_call_carries_base_headers_and_parameters_that_are_not_none(client: Client) -> None:
    http, script = client(OK)
    answer = http.request("GET", "/v1/me", params={"a": 1, "b": None, "tags": ["x", "y"]})
    sent = script.requests[0]
    assert answer.json() == {"ok": True}
    assert str(sent.url) == "https://api.example.com/base/v1/me?a=1&tags=x&tags=y"
    assert sent.headers["authorization"] == "Bearer very-secret-value"
    assert sent.headers["user-agent"].startswith("Hookwright")


def test_a_body_goes_out_as_json(client: Client) -> None:
    http, script = client(httpx.Response(201, json={}))
    http.request("POST", "/things", json={"name": "é"}, headers={"Idempotency-Key": "k"})
    assert json.loads(script.requests[0].content) == {"name": "é"}
    assert script.requests[0].headers["idempotency-key"] == "k"


def test_the_connections_headers_never_go_to_another_host(client: Client) -> None:
    http, script = client(OK)
    http.request("POST", "https://hooks.example.org/secret/path", json={})
    assert "authorization" not in script.requests[0].headers


@pytest.mark.parametrize(
    ("raised", "error", "perhaps_done"),
    [
        (httpx.ConnectError("refused"), Unreachable, False),
        (httpx.ConnectTimeout("slow"), Unreachable, False),
        (httpx.PoolTimeout("busy"), Unreachable, False),
        (httpx.ReadTimeout("slow"), TimedOut, True),
        (httpx.WriteTimeout("slow"), TimedOut, True),
        (httpx.ReadError("reset"), VendorBroken, True),
        (httpx.WriteError("reset"), VendorBroken, True),
        (httpx.RemoteProtocolError("cut"), VendorBroken, True),
    ],
)
def test_connection_failures_say_whether_the_call_may_have_been_performed(
    client: Client, raised: Exception, error: type[Transient], *, perhaps_done: bool
) -> None:
    http, script = client(raised)
    with pytest.raises(error) as caught:
        http.request("POST", "/things", json={})
    assert caught.value.perhaps_done is perhaps_done
    assert len(script.requests) == 1, "what changes something is never repeated by the client"


def test_a_call_declared_safe_is_never_in_doubt(client: Client) -> None:
    http, _ = client(httpx.ReadTimeout("slow"))
    with pytest.raises(TimedOut) as caught:
        http.request("POST", "/chat.update", json={}, safe=True)
    assert caught.value.perhaps_done is False


@pytest.mark.parametrize(
    ("status", "error", "perhaps_done"),
    [
        (408, VendorBroken, False),
        (425, VendorBroken, False),
        (500, VendorBroken, True),
        (502, VendorBroken, True),
        (503, VendorBroken, False),
        (504, VendorBroken, True),
        (599, VendorBroken, True),
        (429, RateLimited, False),
    ],
)
def test_statuses_that_may_pass(
    client: Client, status: int, error: type[Transient], *, perhaps_done: bool
) -> None:
    http, _ = client(httpx.Response(status, json={"message": "not now"}))
    with pytest.raises(error, match="not now") as caught:
        http.request("POST", "/things", json={})
    assert caught.value.perhaps_done is perhaps_done


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 422, 451, 499])
def test_other_4xx_are_refused_with_the_vendors_words(client: Client, status: int) -> None:
    http, script = client(httpx.Response(status, json={"detail": "that cannot be"}))
    with pytest.raises(Refused, match="that cannot be") as caught:
        http.request("GET", "/things")
    assert caught.value.status == status
    assert caught.value.body == {"detail": "that cannot be"}
    assert (caught.value.hint is not None) is (status in {401, 403, 404})
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"retry-after": "7"}, {"message": "slow"}),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1793534407"}, {"message": "slow"}),
    ],
)
def test_a_403_with_the_signs_of_a_limit_is_a_limit(
    client: Client, headers: dict[str, str], body: dict[str, str]
) -> None:
    http, _ = client(httpx.Response(403, headers=headers, json=body))
    with pytest.raises(RateLimited) as caught:
        http.request("POST", "/things", json={})
    assert caught.value.retry_after == timedelta(seconds=7)


def test_a_403_that_only_speaks_of_a_limit_waits_a_minute(client: Client) -> None:
    words = {"message": "You have exceeded a secondary rate limit."}
    http, _ = client(httpx.Response(403, json=words))
    with pytest.raises(RateLimited) as caught:
        http.request("POST", "/things", json={})
    assert caught.value.retry_after == timedelta(seconds=60)


def test_reads_are_tried_three_times_with_growing_full_jitter(
    client: Client, fake_time: FakeTime
) -> None:
    http, script = client(httpx.Response(502), httpx.ReadError("reset"), OK)
    assert http.request("GET", "/things").json() == {"ok": True}
    assert len(script.requests) == 3
    assert fake_time.slept == [0.25, 0.5]


def test_a_read_that_keeps_failing_gives_its_last_error(client: Client) -> None:
    http, script = client(httpx.Response(502), httpx.Response(502), httpx.Response(500))
    with pytest.raises(VendorBroken, match="500") as caught:
        http.request("GET", "/things")
    assert len(script.requests) == 3
    assert caught.value.perhaps_done is False


def test_a_read_is_not_repeated_when_the_vendor_asks_for_a_long_wait(client: Client) -> None:
    http, script = client(httpx.Response(503, headers={"retry-after": "30"}))
    with pytest.raises(VendorBroken) as caught:
        http.request("GET", "/things")
    assert caught.value.retry_after == timedelta(seconds=30)
    assert len(script.requests) == 1


def test_a_read_is_not_repeated_after_a_slow_failure(client: Client, fake_time: FakeTime) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        fake_time.seconds += 30
        raise httpx.ReadTimeout("slow")

    http, _ = client(OK, transport=httpx.MockTransport(slow))
    with pytest.raises(TimedOut):
        http.request("GET", "/things")
    assert fake_time.slept == []


def test_a_short_wait_asked_for_is_kept(client: Client, fake_time: FakeTime) -> None:
    http, script = client(httpx.Response(429, headers={"retry-after": "1"}), OK)
    assert http.request("GET", "/things").status == 200
    assert fake_time.slept == [1.0]
    assert len(script.requests) == 2


def test_reads_follow_redirects_on_the_same_host(client: Client) -> None:
    moved = httpx.Response(301, headers={"location": "/base/new?x=1"})
    http, script = client(moved, OK)
    assert http.request("GET", "/old", params={"y": 2}).status == 200
    assert str(script.requests[1].url) == "https://api.example.com/base/new?x=1"
    assert script.requests[1].headers["authorization"] == "Bearer very-secret-value"


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example.com/x",
        "http://api.example.com/x",
        "https://api.example.com:8443/",
    ],
)
def test_redirects_to_another_place_are_refused(client: Client, location: str) -> None:
    http, script = client(httpx.Response(302, headers={"location": location}))
    with pytest.raises(Refused) as caught:
        http.request("GET", "/old")
    assert caught.value.status == 302
    assert len(script.requests) == 1


def test_redirects_of_what_changes_something_are_refused(client: Client) -> None:
    http, script = client(httpx.Response(307, headers={"location": "/base/new"}))
    with pytest.raises(Refused, match="307"):
        http.request("POST", "/old", json={})
    assert len(script.requests) == 1


def test_a_circle_of_redirects_ends(client: Client) -> None:
    http, script = client(httpx.Response(302, headers={"location": "/base/again"}))
    with pytest.raises(VendorBroken, match="circle"):
        http.request("GET", "/again")
    assert len(script.requests) <= 12


def test_an_answer_larger_than_the_cap_is_broken(client: Client) -> None:
    http, _ = client(httpx.Response(200, content=b"x" * 2000), max_answer_bytes=1000)
    with pytest.raises(VendorBroken, match="more than 1000 bytes") as caught:
        http.request("POST", "/things", json={})
    assert caught.value.perhaps_done is True


def test_a_compressed_answer_is_unpacked_and_capped_by_its_unpacked_size(client: Client) -> None:
    def packed(size: int) -> httpx.Response:
        body = gzip.compress(b'"' + b"x" * size + b'"')
        headers = {"content-encoding": "gzip"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    def serve(request: httpx.Request) -> httpx.Response:
        return packed(int(request.url.params["size"]))

    http, _ = client(OK, transport=httpx.MockTransport(serve), max_answer_bytes=1000)
    assert http.request("GET", "/x", params={"size": 500}).json() == "x" * 500
    with pytest.raises(VendorBroken, match="more than 1000 bytes"):
        http.request("GET", "/x", params={"size": 5_000_000})


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_an_answer_that_cannot_be_unpacked_is_broken(client: Client, encoding: str) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        headers = {"content-encoding": encoding}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"no such thing"))

    http, _ = client(OK, transport=httpx.MockTransport(serve))
    with pytest.raises(VendorBroken):
        http.request("POST", "/x", json={})


def test_an_answer_that_is_no_json_is_broken_and_perhaps_done(client: Client) -> None:
    http, _ = client(httpx.Response(200, content=b"<html>"))
    with pytest.raises(VendorBroken, match="no JSON") as caught:
        http.request("POST", "/things", json={}).json()
    assert caught.value.perhaps_done is True


def test_the_limit_of_one_thread_holds_the_next_call(client: Client, fake_time: FakeTime) -> None:
    http, script = client(
        httpx.Response(429, headers={"retry-after": "20"}), OK, limiter=fake_time.limiter(600)
    )
    with pytest.raises(RateLimited):
        http.request("POST", "/things", json={})
    with pytest.raises(RateLimited) as caught:
        http.request("POST", "/things", json={})
    assert len(script.requests) == 1
    assert caught.value.retry_after == timedelta(seconds=20)
    fake_time.seconds += 20
    assert http.request("POST", "/things", json={}).status == 200


def test_the_last_allowed_call_holds_until_the_window_begins_anew(
    client: Client, fake_time: FakeTime
) -> None:
    last = httpx.Response(
        200, json={}, headers={"ratelimit-remaining": "0", "ratelimit-reset": "9"}
    )
    http, script = client(last, OK, limiter=fake_time.limiter(600))
    http.request("GET", "/things")
    with pytest.raises(RateLimited) as caught:
        http.request("GET", "/things")
    assert caught.value.retry_after == timedelta(seconds=9)
    assert len(script.requests) == 1


def test_a_limit_that_names_no_wait_is_met_with_longer_and_longer_ones(
    client: Client, fake_time: FakeTime
) -> None:
    http, script = client(
        httpx.Response(429, headers={"retry-after": "0"}), limiter=fake_time.limiter(6000)
    )
    waits = []
    for _ in range(8):
        with pytest.raises(RateLimited) as caught:
            http.request("POST", "/things", json={})
        assert caught.value.retry_after is not None
        waits.append(caught.value.retry_after.total_seconds())
        fake_time.seconds += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(script.requests) == 8


def test_calls_wait_for_the_rate_when_it_is_short(client: Client, fake_time: FakeTime) -> None:
    http, _ = client(OK, limiter=fake_time.limiter(1, seconds=1.0))
    http.request("GET", "/a")
    http.request("GET", "/b")
    assert sum(fake_time.slept) == pytest.approx(1.0 + MARGIN_S)


def test_few_calls_left_are_left_alone_until_the_window_begins_anew(
    client: Client, fake_time: FakeTime
) -> None:
    few = {"x-ratelimit-remaining": "5", "x-ratelimit-reset": "1793534430"}
    http, script = client(
        httpx.Response(200, json={}, headers=few),
        limiter=fake_time.limiter(600),
        keep_back=5,
    )
    http.request("GET", "/things")
    with pytest.raises(RateLimited) as caught:
        http.request("GET", "/things")
    assert caught.value.retry_after == timedelta(seconds=30)
    assert len(script.requests) == 1


class Tokens:
    """Gives `t1`, `t2`, … each good for an hour."""

    def __init__(self, time: FakeTime) -> None:
        self.time = time
        self.given = 0

    def __call__(self, _http: VendorHttp, now: datetime) -> Token:
        self.given += 1
        return Token({"Authorization": f"Bearer token-{self.given}"}, now + timedelta(hours=1))


def sent_tokens(script: Script) -> list[str]:
    return [request.headers["authorization"] for request in script.requests]


def test_a_token_is_kept_until_shortly_before_its_end(client: Client, fake_time: FakeTime) -> None:
    tokens = Tokens(fake_time)
    http, script = client(OK, fetch_token=tokens)
    http.request("GET", "/a")
    fake_time.seconds += 3539
    http.request("GET", "/b")
    fake_time.seconds += 1
    http.request("POST", "/c", json={})
    assert sent_tokens(script) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_a_refused_token_is_renewed_once_even_for_a_call_that_changes_something(
    client: Client, fake_time: FakeTime
) -> None:
    tokens = Tokens(fake_time)
    http, script = client(httpx.Response(401), OK, fetch_token=tokens)
    assert http.request("POST", "/things", json={}).status == 200
    assert sent_tokens(script) == ["Bearer token-1", "Bearer token-2"]


def test_a_credential_that_no_token_helps_is_refused_in_words(
    client: Client, fake_time: FakeTime
) -> None:
    http, script = client(httpx.Response(401), fetch_token=Tokens(fake_time))
    with pytest.raises(Refused, match="401") as caught:
        http.request("GET", "/things")
    assert "credential" in (caught.value.hint or "")
    assert len(script.requests) == 2


def test_a_bare_call_and_a_foreign_host_get_no_token(client: Client, fake_time: FakeTime) -> None:
    http, script = client(OK, fetch_token=Tokens(fake_time))
    http.request("GET", "/token", bare=True)
    http.request("GET", "https://elsewhere.example/x")
    assert all("authorization" not in request.headers for request in script.requests)


def test_a_token_never_shows_in_an_error(client: Client, fake_time: FakeTime) -> None:
    def fetch(_http: VendorHttp, _now: datetime) -> Token:
        return Token({"X-Token": "abcdefgh-short-lived"})

    http, _ = client(
        httpx.Response(400, json={"message": "abcdefgh-short-lived is bad"}), fetch_token=fetch
    )
    with pytest.raises(Refused) as caught:
        http.request("GET", "/things")
    assert "abcdefgh" not in caught.value.message


def test_bytes_go_out_as_they_are(client: Client) -> None:
    http, script = client(OK)
    http.request("POST", "/file", content=b"\x00\xff", headers={"Content-Type": "image/png"})
    assert script.requests[0].content == b"\x00\xff"
    assert script.requests[0].headers["content-type"] == "image/png"


def test_lines_of_an_endless_answer(client: Client) -> None:
    http, _ = client(httpx.Response(200, content=b"data: 1\r\n\ndata: 2\n"))
    assert list(http.lines("/control")) == ["data: 1", "", "data: 2"]


def test_between_two_lines_the_thread_is_not_the_streams(client: Client) -> None:
    http, _ = client(httpx.Response(200, content=b"1\n2\n"))
    lines = http.lines("/control", for_s=0.001)
    assert next(lines) == "1"
    with deadline(60):
        # Within the stream's own deadline another call could not take so long.
        assert _left(30.0, TimeoutError) == 30.0
    lines.close()


def test_a_refused_stream_is_an_error(client: Client) -> None:
    http, _ = client(httpx.Response(403, json={"message": "not you"}))
    with pytest.raises(Refused, match="not you"):
        list(http.lines("/control"))


def test_five_failed_connections_pause_calls_for_thirty_seconds(
    client: Client, fake_time: FakeTime
) -> None:
    http, script = client(*[httpx.ConnectError("refused")] * 5, OK)
    for _ in range(5):
        with pytest.raises(Unreachable):
            http.request("POST", "/things", json={})
    with pytest.raises(Unreachable, match="paused") as caught:
        http.request("POST", "/things", json={})
    assert caught.value.retry_after == timedelta(seconds=30)
    assert len(script.requests) == 5
    fake_time.seconds += 30
    assert http.request("POST", "/things", json={}).status == 200
    assert http.request("POST", "/things", json={}).status == 200


def test_answers_of_any_kind_keep_the_breaker_closed(client: Client) -> None:
    cut, down = httpx.ConnectError("refused"), httpx.Response(500)
    http, script = client(*[cut] * 4, down, *[cut] * 4, down)
    for _ in range(10):
        with pytest.raises(Transient):
            http.request("POST", "/things", json={})
    assert len(script.requests) == 10


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "tags", 0], "msg": "bad tag"}]},
        {"error": {"type": "invalid", "message": "bad tag"}},
        {"errors": [{"message": "bad tag"}]},
        {"title": "Invalid", "detail": "bad tag"},
        "bad tag",
    ],
)
def test_words_are_found_in_every_vendors_error_body(client: Client, body: object) -> None:
    http, _ = client(httpx.Response(422, json=body))
    with pytest.raises(Refused, match="bad tag"):
        http.request("GET", "/things")


def test_words_are_bounded_on_one_line_and_without_pages(client: Client) -> None:
    http, _ = client(httpx.Response(400, text="a\r\n\x1b[31m" + "b" * 5000))
    with pytest.raises(Refused) as caught:
        http.request("GET", "/things")
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()
    http, _ = client(httpx.Response(400, html="<h1>no</h1>"))
    with pytest.raises(Refused) as caught:
        http.request("GET", "/things")
    assert "<h1>" not in caught.value.message


def test_no_secret_is_in_any_error_or_repr(client: Client) -> None:
    said = "token very-secret-value and xoxb-1234567890-abcdef are wrong"
    for answer in (httpx.Response(401, json={"message": said}), httpx.ConnectError(said)):
        http, _ = client(answer)
        with pytest.raises(HookwrightError) as caught:
            http.request("POST", "/things", json={})
        shown = f"{caught.value} {caught.value!r} {caught.value.message} {http!r}"
        assert "very-secret-value" not in shown
        assert "1234567890" not in shown


def test_the_path_of_a_foreign_address_is_not_shown(client: Client) -> None:
    http, _ = client(httpx.Response(404, text="no_service"))
    with pytest.raises(Refused, match="no_service") as caught:
        http.request("POST", "https://hooks.example.org/services/T0/B0/hidden", json={})
    assert "hidden" not in str(caught.value)


def test_what_is_remembered_is_asked_once_and_failures_are_not_kept(client: Client) -> None:
    http, _ = client(OK)
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise Unreachable
        return 7

    with pytest.raises(Unreachable):
        http.remember("me", ask)
    assert http.remember("me", ask) == 7
    assert http.remember("me", ask) == 7
    assert len(asked) == 2


@pytest.mark.parametrize(
    "base_url",
    ["", "api.example.com", "ftp://x", "https://", "https://u:p@x", "https://x?a=1", "http://x:y"],
)
def test_a_base_address_that_is_none_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError):
        VendorHttp(base_url=base_url)


@pytest.mark.parametrize("token", ["a\nb", "a\rb", "schlüssel", "a\x00b"])
def test_a_credential_no_header_can_hold_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        VendorHttp(base_url="https://x", headers={"Authorization": token})
    assert token not in str(caught.value)


def test_segments_are_quoted_whole_and_cannot_climb() -> None:
    assert path_of("repos", "a/b", "ü?#", 4) == "/repos/a%2Fb/%C3%BC%3F%23/4"
    for segment in ("", ".", ".."):
        with pytest.raises(Permanent):
            path_of("repos", segment)
