"""What every twin can be told and asked, shown on the Checksum twin."""

import time

import httpx
import pytest

from examples.twins.launch import TwinError, TwinProcess

REPO = {"repoName": "acme-co/my-tests"}


def test_a_call_is_recorded_with_its_credentials_masked(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum_api.post("/v1/execution/suite?why=test", json={"autoHeal": REPO})
    checksum_api.get("/v1/me", headers={"ChecksumAppCode": "checksum-key"})
    first, second = checksum.calls()
    assert (first["number"], first["method"], first["path"]) == (
        1,
        "POST",
        "/public-api/v1/execution/suite",
    )
    assert first["query"] == {"why": "test"}
    assert first["body"] == {"autoHeal": REPO}
    assert first["status"] == 200
    assert first["took_effect"] is True
    assert first["answered"] is True
    assert first["headers"]["authorization"] == "Bearer ***"  # type: ignore[index]
    assert second["headers"]["checksumappcode"] == "***"  # type: ignore[index]
    assert second["took_effect"] is False
    assert "checksum-key" not in str([first, second])


def test_calls_are_found_by_method_and_by_a_path_that_may_begin_at_any_slash(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum_api.post("/v1/auto-heal", json={})
    checksum_api.get("/v1/auto-heal/batch/none")
    checksum_api.get("/v1/me")
    assert len(checksum.calls(path="/auto-heal*")) == 2
    assert len(checksum.calls(path="/auto-heal*", method="get")) == 1
    assert len(checksum.calls(path="/public-api/v1/me")) == 1
    assert checksum.calls(path="/v1/m") == []


def test_a_refused_call_took_no_effect(checksum: TwinProcess, checksum_api: httpx.Client) -> None:
    checksum_api.post("/v1/auto-heal", json={})
    assert checksum.effects() == []
    assert checksum.calls()[0]["status"] == 400


def test_control_calls_are_not_recorded(checksum: TwinProcess) -> None:
    checksum.state()
    assert checksum.calls() == []


def test_a_status_fault_answers_in_the_vendors_place_and_nothing_takes_effect(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.fault(
        "status",
        path="/execution/suite",
        status=503,
        headers={"Retry-After": "7"},
        times=2,
        body={"message": "down"},
    )
    answers = [checksum_api.post("/v1/execution/suite") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert answers[0].json() == {"message": "down"}
    assert len(checksum.effects()) == 1
    assert [call["fault"] for call in checksum.calls()] == ["status", "status", None]


def test_a_slow_answer_comes_late_although_the_call_took_effect_at_once(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.fault("slow", delay_s=30, times=1)
    with pytest.raises(httpx.ReadTimeout):
        checksum_api.post("/v1/execution/suite", timeout=0.3)
    assert len(checksum.effects()) == 1
    assert checksum.calls()[0]["answered"] is False

    checksum.fault("slow", delay_s=0.2, times=1)
    began = time.monotonic()
    assert checksum_api.get("/v1/me").status_code == 200
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(("mode", "effects"), [("drop_before", 0), ("drop_after", 1)])
def test_a_cut_connection_gives_no_answer(
    checksum: TwinProcess, checksum_api: httpx.Client, mode: str, effects: int
) -> None:
    checksum.fault(mode, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        checksum_api.post("/v1/execution/suite")
    assert len(checksum.effects()) == effects
    assert checksum.calls()[0]["status"] is None
    assert checksum_api.get("/v1/me").status_code == 200


def test_garbage_and_truncated_answers_took_effect(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.fault("garbage", times=1)
    answer = checksum_api.post("/v1/execution/suite")
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"codec|Expecting"):
        answer.json()
    checksum.fault("truncate", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        checksum_api.post("/v1/execution/suite")
    assert len(checksum.effects()) == 2


def test_a_fault_can_take_effect_and_still_answer_an_error(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.fault("status", status=502, effect=True, times=1)
    assert checksum_api.post("/v1/execution/suite").status_code == 502
    assert len(checksum.effects()) == 1


def test_a_fault_may_let_calls_through_first_and_look_at_the_body(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.fault("status", contains="checkout", skip=1)
    greps = ("login", "checkout", "checkout", "login")
    answers = [checksum_api.post("/v1/execution/grep", json={"grep": one}) for one in greps]
    assert [answer.status_code for answer in answers] == [200, 200, 503, 200]
    checksum.clear_faults()
    assert checksum_api.post("/v1/execution/grep", json={"grep": "checkout"}).status_code == 200


def test_a_reset_forgets_calls_faults_and_runs_but_keeps_settings(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum_api.post("/v1/execution/suite")
    checksum.fault("status")
    settings = checksum.set(key="other-key")
    checksum.reset()
    assert checksum.calls() == []
    assert checksum.state()["runs"] == []
    assert checksum_api.get("/v1/me").status_code == 401
    headers = {"Authorization": "Bearer other-key"}
    assert checksum_api.get("/v1/me", headers=headers).status_code == 200
    assert settings["key"] == "other-key"


def test_a_limit_can_be_set_and_its_window_passes_with_the_clock(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.limit("api", limit=2, window_s=60)
    answers = [checksum_api.get("/v1/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    checksum.advance(60)
    assert checksum_api.get("/v1/me").status_code == 200


@pytest.mark.parametrize(
    ("lever", "body"),
    [
        ("faults", {"mode": "explode"}),
        ("faults", {"mode": "slow", "color": "red"}),
        ("limits", {"name": "nothing"}),
        ("settings", {"pace": -1}),
        ("settings", {"unknown": 1}),
        ("settings", [1]),
        ("advance", {"seconds": -1}),
        ("outcomes", {"runs": ["exploded"]}),
        ("nowhere", {}),
    ],
)
def test_a_control_call_that_does_not_fit_is_refused(
    checksum: TwinProcess, lever: str, body: object
) -> None:
    with pytest.raises(TwinError):
        checksum.lever(lever, body)


def test_the_log_is_empty_when_nothing_went_wrong(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum_api.post("/v1/execution/suite", content=b"{")
    assert checksum.log() == ""


def test_waiting_for_a_call_that_does_not_come_ends(checksum: TwinProcess) -> None:
    with pytest.raises(TimeoutError):
        checksum.wait_for_calls(path="/me", timeout_s=0.1)
