"""What we read of CheckView's bodies and answers, in camelCase or snake_case: all is assumed.

The models keep what they do not name, with names in snake_case.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from service.vendors.reading import Text, Time, Whole, as_mapping, as_text

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()


class Answer(BaseModel):
    """Base of the models: immutable, null counts as not sent, snake_case goes before camelCase."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _in_snake_case(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        there = {str(name): item for name, item in value.items() if item is not None}
        return {_snake(name): item for name, item in there.items()} | {
            name: item for name, item in there.items() if name == _snake(name)
        }


def _as_named(value: object) -> dict[str, object]:
    """Give what names a thing: an object, or its id alone."""
    text = as_text(value)
    return as_mapping(value) if text is None else {"id": text}


def _as_words(value: object) -> str | None:
    """Give an error's words, which may stand in an object."""
    return as_text(as_mapping(value).get("message")) or as_text(value)


class Website(Answer):
    """A website under test."""

    id: Text = None
    url: Text = None
    name: Text = None


NamedWebsite = Annotated[Website, BeforeValidator(_as_named)]


class TestFlow(Answer):
    """A test flow."""

    __test__ = False  # the name begins with Test; pytest must not collect it

    id: Text = None
    name: Text = None
    website: NamedWebsite = Website()


NamedFlow = Annotated[TestFlow, BeforeValidator(_as_named)]


class TestRun(Answer):
    """A run of a test flow; `status` as the vendor writes it."""

    __test__ = False  # likewise

    id: Text = None
    status: Text = None
    test_flow: NamedFlow = Field(
        default=TestFlow(), validation_alias=AliasChoices("test_flow", "flow", "test_flow_id")
    )
    website: NamedWebsite = Field(
        default=Website(), validation_alias=AliasChoices("website", "website_id")
    )
    created_at: Time = None
    started_at: Time = None
    finished_at: Time = Field(
        default=None, validation_alias=AliasChoices("finished_at", "completed_at", "ended_at")
    )
    duration_ms: Whole = None
    error: Annotated[str | None, BeforeValidator(_as_words)] = Field(
        default=None, validation_alias=AliasChoices("error", "error_message")
    )
    url: Text = None

    @property
    def listed_at(self) -> datetime | None:
        """When it was made, which is what the list is taken to be ordered by."""
        return self.created_at or self.started_at or self.finished_at

    @property
    def lasted_ms(self) -> int | None:
        """How long it took, in milliseconds."""
        if self.duration_ms is not None or not (self.started_at and self.finished_at):
            return self.duration_ms
        return max(int((self.finished_at - self.started_at) / timedelta(milliseconds=1)), 0)


class UxAudit(Answer):
    """A UX audit of a website or an address."""

    id: Text = None
    status: Text = None
    website: NamedWebsite = Field(
        default=Website(), validation_alias=AliasChoices("website", "website_id")
    )
    url: Text = None
    score: Whole = None
    report_url: Text = Field(default=None, validation_alias=AliasChoices("report_url", "report"))
    created_at: Time = None
    finished_at: Time = Field(
        default=None, validation_alias=AliasChoices("finished_at", "completed_at")
    )


class Health(Answer):
    """What the vendor says of itself."""

    status: Text = None
