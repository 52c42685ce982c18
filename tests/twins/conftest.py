"""One process per twin and test module, fresh before each test, and a receiver for webhooks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from examples.twins.launch import TwinProcess
from tests.listening import Headers, listen
from tests.twin_forks import start_twin


@dataclass
class Receiver:
    """Takes webhooks; `answers` are statuses for the next ones, 202 when there are none left."""

    url: str = ""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def headers(self) -> dict[str, str]:
        """Headers of the last webhook, names in lower case."""
        return self.received[-1][0]

    def body(self) -> bytes:
        return self.received[-1][1]

    def json(self) -> dict[str, object]:
        return json.loads(self.body())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    inbox = Receiver()

    def take(headers: Headers, body: bytes) -> int:
        inbox.received.append((dict(headers), body))
        return inbox.answers.pop(0) if inbox.answers else 202

    with listen("/hooks/source", take) as url:
        inbox.url = url
        yield inbox


def _client(base_url: str, authorization: str) -> httpx.Client:
    headers = {"Authorization": authorization, "User-Agent": "tests"}
    return httpx.Client(base_url=base_url, headers=headers, trust_env=False)


def _fresh(twin: TwinProcess) -> TwinProcess:
    twin.clear_faults()
    twin.reset()
    return twin


@pytest.fixture(scope="module")
def checksum_process() -> Iterator[TwinProcess]:
    with start_twin("checksum") as twin:
        yield twin


@pytest.fixture
def checksum(checksum_process: TwinProcess) -> TwinProcess:
    """Runs and heals move only when the test moves the clock: one phase is 1000 s."""
    checksum_process.set(
        pace=1000, show_batch_id=True, dispatch_answer="name", sessions="one", key="checksum-key"
    )
    checksum_process.limit("api", limit=None)
    return _fresh(checksum_process)


@pytest.fixture(scope="module")
def checksum_client(checksum_process: TwinProcess) -> Iterator[httpx.Client]:
    with _client(f"{checksum_process.url}/public-api", "Bearer checksum-key") as client:
        yield client


@pytest.fixture
def checksum_api(checksum: TwinProcess, checksum_client: httpx.Client) -> httpx.Client:
    """A client of the fresh twin, with its key."""
    assert str(checksum_client.base_url).startswith(checksum.url)
    return checksum_client


@pytest.fixture(scope="module")
def github_process() -> Iterator[TwinProcess]:
    with start_twin("github") as twin:
        yield twin


@pytest.fixture
def github(github_process: TwinProcess, receiver: Receiver) -> TwinProcess:
    github_process.set(receiver=receiver.url, secret="github-webhook-secret")
    for name, limit, window_s in (
        ("primary", 5000, 3600),
        ("points", 900, 60),
        ("content", 80, 60),
    ):
        github_process.limit(name, limit=limit, window_s=window_s)
    return _fresh(github_process)


@pytest.fixture(scope="module")
def github_client(github_process: TwinProcess) -> Iterator[httpx.Client]:
    with _client(f"{github_process.url}", "Bearer ghp_twin") as client:
        yield client


@pytest.fixture
def github_api(github: TwinProcess, github_client: httpx.Client) -> httpx.Client:
    """A client of the fresh twin, with its key."""
    assert str(github_client.base_url).startswith(github.url)
    return github_client


@pytest.fixture(scope="module")
def slack_process() -> Iterator[TwinProcess]:
    with start_twin("slack") as twin:
        yield twin


@pytest.fixture
def slack(slack_process: TwinProcess, receiver: Receiver) -> TwinProcess:
    slack_process.set(receiver=receiver.url, secret="slack-signing-secret")
    slack_process.limit("message", rate_per_s=1, burst=5)
    return _fresh(slack_process)


@pytest.fixture(scope="module")
def slack_client(slack_process: TwinProcess) -> Iterator[httpx.Client]:
    with _client(f"{slack_process.url}/api", "Bearer xoxb-twin") as client:
        yield client


@pytest.fixture
def slack_api(slack: TwinProcess, slack_client: httpx.Client) -> httpx.Client:
    """A client of the fresh twin, with its key."""
    assert str(slack_client.base_url).startswith(slack.url)
    return slack_client


@pytest.fixture(scope="module")
def vibeview_process() -> Iterator[TwinProcess]:
    with start_twin("vibeview") as twin:
        yield twin


@pytest.fixture
def vibeview(vibeview_process: TwinProcess, receiver: Receiver) -> TwinProcess:
    """Runs move only when the test moves the clock; failed webhooks are tried again at once."""
    vibeview_process.set(
        receiver=receiver.url,
        secret="vibeview-webhook-secret",
        scheme="sha256-body",
        role="admin",
        retry_after=False,
        redeliver_keeps_id=False,
        announce_runs=False,
        thresholds_at="suite",
        lists_webhooks=False,
        deliveries_form="total",
        pages_deliveries=True,
        pace=1000,
    )
    vibeview_process.limit("api", limit=100)
    vibeview_process.limit("costly", limit=10)
    return _fresh(vibeview_process)


@pytest.fixture(scope="module")
def vibeview_client(vibeview_process: TwinProcess) -> Iterator[httpx.Client]:
    with _client(f"{vibeview_process.url}/api/v1", "Bearer tok_demo") as client:
        yield client


@pytest.fixture
def vibeview_api(vibeview: TwinProcess, vibeview_client: httpx.Client) -> httpx.Client:
    """A client of the fresh twin, with its key."""
    assert str(vibeview_client.base_url).startswith(vibeview.url)
    return vibeview_client
