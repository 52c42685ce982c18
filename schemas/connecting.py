"""Bodies of what people ask while they connect a sender or an account (contract §6). No I/O."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from schemas.api import Answer


class IdentifyQuestion(BaseModel):
    """With which secrets a stored request is to be compared; None: those of its source."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secrets: list[Annotated[str, Field(min_length=1, max_length=4096)]] | None = Field(
        default=None, min_length=1, max_length=5
    )


class SignedTime(Answer):
    """What the signed time says: whether there is one, and whether the door takes it now."""

    signed: bool
    accepted_now: bool
    detail: str


class SchemeMatch(Answer):
    """A scheme that fits, with what to write into hookwright.yaml. `secret`: which, from 0."""

    vendor: str
    title: str
    scheme: str
    header: str
    headers: list[str]
    secret: int
    secret_encoding: str | None
    options: dict[str, Any]
    time: SignedTime
    configuration: str


class SchemeNearMiss(Answer):
    """A scheme whose header is there, and why it does not fit."""

    vendor: str
    scheme: str
    header: str
    reason: str
    detail: str


class IdentifyReport(Answer):
    """What was found out, the likeliest first; near misses only where nothing fits."""

    matches: list[SchemeMatch]
    near_misses: list[SchemeNearMiss]
    signature_headers: list[str]
    notes: list[str]


class CheckFailure(Answer):
    """Why an account cannot be called. `hint`: what to do now."""

    code: str
    message: str
    hint: str | None


class ConnectionCheck(Answer):
    """What a vendor said when it was asked who we are."""

    connection: str
    vendor: str
    base_url: str
    ok: bool
    who: str | None
    error: CheckFailure | None
    took_ms: int
