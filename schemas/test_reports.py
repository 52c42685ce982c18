"""`POST /api/v1/workflows/test`: what is asked, and the report. No I/O."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.testing import Text


class Asked(BaseModel):
    """Base of what is asked: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TestRequest(Asked):
    """A workflow document and tests for it, both as texts (YAML 1.2 or JSON)."""

    __test__ = False  # the name begins with Test; pytest must not collect it

    document: Annotated[Text, Field(description="The workflow document.")]
    tests: Annotated[Text, Field(description="The test file, as it would stand beside it.")]


class FindingOut(BaseModel):
    """One fault of the document or of the tests, counted from line 1 and column 1."""

    file: Annotated[str, Field(description="`document`, `tests`, or another workflow.")]
    line: int
    column: int
    message: str
    hint: str | None


class DifferenceOut(BaseModel):
    """One thing that is not as expected.

    `lines` tell a list of which some entries differ: `-` what is expected, `+` what came.
    """

    where: str
    expected: str | None
    got: str | None
    lines: list[str]
    note: str | None


class MissingOut(BaseModel):
    """A call for which no answer is given: `add` is to be written at `where`."""

    note: str
    where: str
    add: str


class MomentOut(BaseModel):
    """One thing that happened, `after` so much virtual time."""

    after: str
    state: str
    name: str
    told: str


class CaseOut(BaseModel):
    """What came of a case."""

    name: str
    line: int
    passed: bool
    differences: list[DifferenceOut]
    missing: MissingOut | None
    timeline: list[MomentOut]


class TestReport(BaseModel):
    """What came of the tests. With `findings` nothing was run."""

    __test__ = False

    passed: bool
    findings: list[FindingOut]
    cases: list[CaseOut]
