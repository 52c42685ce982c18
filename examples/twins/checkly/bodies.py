"""Bodies that Checkly's calls and this twin's levers take (reference 2.1, 2.3, 2.4)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

AlertType = Literal[
    "NO_ALERT",
    "ALERT_DEGRADED",
    "ALERT_FAILURE",
    "ALERT_DEGRADED_REMAIN",
    "ALERT_DEGRADED_RECOVERY",
    "ALERT_DEGRADED_FAILURE",
    "ALERT_FAILURE_REMAIN",
    "ALERT_FAILURE_DEGRADED",
    "ALERT_RECOVERY",
    "ALERT_SSL",
]
SessionEnd = Literal["FAILED", "PASSED", "CANCELLED"]
CheckEnd = Literal["FAILED", "PASSED", "DEGRADED", "TIMED_OUT", "CANCELLED"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Target(_Body):
    """Which checks: inner lists of tags are AND, outer OR."""

    matchTags: list[list[str]] = Field(default_factory=list)  # noqa: N815 - the vendor's name
    checkId: list[str] = Field(default_factory=list)  # noqa: N815 - the vendor's name
    allowDeactivated: bool = False  # noqa: N815 - the vendor's name


class Metadata(_Body):
    """Where a test session belongs in the code."""

    environment: str | None = None
    repoUrl: str | None = None  # noqa: N815 - the vendor's name
    commitId: str | None = None  # noqa: N815 - the vendor's name
    commitOwner: str | None = None  # noqa: N815 - the vendor's name
    commitMessage: str | None = None  # noqa: N815 - the vendor's name
    branchName: str | None = None  # noqa: N815 - the vendor's name


class Variable(_Body):
    """An environment variable of a test session."""

    key: str
    value: str
    locked: bool = False


class StartSession(_Body):
    """Body of a test session."""

    name: str = "Triggered session"
    runLocation: str = "eu-west-1"  # noqa: N815 - the vendor's name
    target: Target = Field(default_factory=Target)
    environmentVariables: list[Variable] = Field(default_factory=list)  # noqa: N815 - the vendor's
    retryStrategy: object = None  # noqa: N815 - the vendor's name
    refreshCache: bool = False  # noqa: N815 - the vendor's name
    metadata: Metadata = Field(default_factory=Metadata)


class StartChecks(_Body):
    """Body of a run of checks."""

    target: Target = Field(default_factory=Target)
    refreshCache: bool = False  # noqa: N815 - the vendor's name


class Archive(_Body):
    """Body of a change of an error group."""

    archivedUntilNextEvent: bool | None = None  # noqa: N815 - the vendor's name
    archiveForEver: bool | None = None  # noqa: N815 - the vendor's name


class Analyse(_Body):
    """Body of a request for an analysis."""

    userContext: str | None = None  # noqa: N815 - the vendor's name


class WebhookConfig(_Body):
    """What a webhook channel is made of."""

    model_config = ConfigDict(extra="allow")

    name: str = "Webhook"
    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"] = "POST"
    template: str = ""
    webhookSecret: str = ""  # noqa: N815 - the vendor's name


class Channel(_Body):
    """An alert channel."""

    type: str
    config: dict[str, object]
    sendRecovery: bool = True  # noqa: N815 - the vendor's name
    sendFailure: bool = True  # noqa: N815 - the vendor's name
    sendDegraded: bool = False  # noqa: N815 - the vendor's name
    sslExpiry: bool = False  # noqa: N815 - the vendor's name
    sslExpiryThreshold: int | None = None  # noqa: N815 - the vendor's name


class AddedCheck(_Body):
    """What `POST /_twin/checks` takes."""

    id: str
    name: str
    type: str = "API"
    tags: list[str] = Field(default_factory=list)
    activated: bool = True
    group: str = ""


class AddedAlerts(_Body):
    """What `POST /_twin/alerts` takes: things that happen, each told by a webhook or withheld.

    Args:
        count: how many alerts.
        withheld: how many of them are told to nobody, spread evenly.
        types: kinds of alert, taken in turn.
        checks: ids of checks, taken in turn; every active check when left out.
        every_s: seconds from one to the next.
        ago_s: how long ago the last of them began.
        error: what the checks say; it goes into the template as it is.
        repeat: how often each webhook is sent.
    """

    count: int = Field(default=1, ge=1, le=20_000)
    withheld: int = Field(default=0, ge=0)
    types: list[AlertType] = Field(default=["ALERT_FAILURE"], min_length=1)
    checks: list[str] = Field(default_factory=list)
    every_s: float = Field(default=1.0, ge=0)
    ago_s: float = Field(default=0.0, ge=0)
    error: str = ""
    repeat: int = Field(default=1, ge=1, le=100)


class AddedSessions(_Body):
    """What `POST /_twin/sessions` takes: test sessions that somebody else started.

    Args:
        status: how they ended; `RUNNING` ones run until the lever `sessions/{id}` ends them.
        every_s, ago_s: as for alerts, for the time of creation.
        duration_s: how long those ran that have ended.
    """

    count: int = Field(default=1, ge=1, le=20_000)
    status: Literal["RUNNING", "FAILED", "PASSED", "CANCELLED"] = "FAILED"
    name: str = "Deploy to production"
    provider: Literal["GITHUB", "VERCEL", "API", "TRIGGER", "PW_REPORTER"] = "GITHUB"
    branch: str | None = "main"
    owner: str | None = "Jo Doe"
    every_s: float = Field(default=1.0, ge=0)
    ago_s: float = Field(default=0.0, ge=0)
    duration_s: float = Field(default=60.0, ge=0)


class EndedSession(_Body):
    """What `POST /_twin/sessions/{id}` takes."""

    status: SessionEnd


class AddedResults(_Body):
    """What `POST /_twin/results` takes: results of a check, one second apart, the last now."""

    check_id: str
    count: int = Field(default=1, ge=1, le=20_000)
    failing: bool = False
    attempt: bool = False


class AnalysisText(_Body):
    """What an analysis says."""

    classification: str = "APPLICATION_ERROR"
    rootCause: str = "The order service answers 500 when the basket is empty."  # noqa: N815
    userImpact: str = "Guests cannot pay."  # noqa: N815 - the vendor's name
    codeFix: str = "Check that the basket has items before it is priced."  # noqa: N815
    evidence: list[str] = Field(default_factory=lambda: ["POST /orders answered 500"])
    referenceLinks: list[str] = Field(default_factory=list)  # noqa: N815 - the vendor's name


Scheduled = Literal["SUCCEEDED", "FAILED"]


class Script(_Body):
    """What `POST /_twin/outcomes` takes: how the next ones end, and how they usually do."""

    sessions: list[SessionEnd] = Field(default_factory=list)
    session_default: SessionEnd | None = None
    checks: list[CheckEnd] = Field(default_factory=list)
    check_default: CheckEnd | None = None
    schedulings: list[Scheduled] = Field(default_factory=list)
    analyses: list[AnalysisText] = Field(default_factory=list)
