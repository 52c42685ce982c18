"""Bodies that Checksum's calls take (reference 5.3, 5.5, 5.6)."""

# Field names are the vendor's own.
# ruff: noqa: N815
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from examples.twins.checksum.batches import HealOrder

RepoName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _HealBlock(_Body):
    autoCreatePR: bool = True
    branch: Text | None = None
    prNumber: int | None = Field(default=None, ge=1)
    repoName: RepoName | None = None

    @model_validator(mode="after")
    def _need_repository(self) -> Self:
        if self.repoName is None and (self.autoCreatePR or self.prNumber is not None):
            raise ValueError("repoName is required when autoCreatePR is true or prNumber is set")
        return self

    def order(self) -> HealOrder:
        """What is to be healed and how."""
        return HealOrder(self.repoName, self.autoCreatePR, self.branch, self.prNumber)


class AutoHealBlock(_HealBlock):
    """The `autoHeal` member of a dispatch."""


class Dispatch(_Body):
    """Body of a suite or collection run."""

    autoHeal: AutoHealBlock | None = None

    def order(self) -> HealOrder | None:
        """The heal that follows a failed end, if one was asked for."""
        return self.autoHeal.order() if self.autoHeal else None


class DispatchTests(Dispatch):
    """Body of a run of chosen tests."""

    testIds: list[Text] = Field(min_length=1)


class DispatchGrep(_Body):
    """Body of the old grep run."""

    grep: Text


class DispatchGrepV2(Dispatch):
    """Body of the grep run that takes a branch. The vendor's action also sends `shards`."""

    grep: Text
    branch: Text | None = None
    envOverrides: dict[str, str] = Field(default_factory=dict)
    shards: int | None = Field(default=None, ge=2, le=40)

    @model_validator(mode="after")
    def _shard_or_heal(self) -> Self:
        if self.shards is not None and self.autoHeal is not None:
            raise ValueError("shards cannot be combined with autoHeal")
        return self


class AffectedTests(_Body):
    """Body of a selection of tests. The vendor publishes none: these files are assumed."""

    changedFiles: list[Text] = Field(default_factory=list)


class AutoHeal(_HealBlock):
    """Body of an auto-heal."""

    testRunId: UUID
    metadata: dict[str, object] = Field(default_factory=dict)

    def order(self) -> HealOrder:
        """What is to be healed and how."""
        return HealOrder(
            self.repoName, self.autoCreatePR, self.branch, self.prNumber, self.metadata
        )


class AutoGenerate(_Body):
    """Body of a test generation for a pull request."""

    prNumber: int = Field(ge=1)
    repoName: RepoName
    branch: Text
    metadata: dict[str, object] = Field(default_factory=dict)
    envOverrides: dict[str, str] = Field(default_factory=dict)

    def order(self) -> HealOrder:
        """What is to be generated and where."""
        return HealOrder(self.repoName, True, self.branch, self.prNumber, self.metadata)
