"""One check run."""

from dataclasses import dataclass, field
from datetime import datetime

from examples.twins.clock import zulu
from examples.twins.github.addresses import API, WEB
from examples.twins.github.bodies import CheckRunChange


@dataclass(slots=True)
class CheckRun:
    """One check run, as it was written last."""

    number: int
    repo: str
    head_sha: str
    app: str
    started_at: datetime
    figures: dict[str, object]
    annotations: list[dict[str, object]] = field(default_factory=list)

    def change(self, asked: CheckRunChange) -> None:
        """Take over what is named; annotations are added to those that are there."""
        given = asked.model_dump(exclude_unset=True, exclude={"output", "head_sha"})
        self.figures |= given
        if asked.conclusion is not None:
            self.figures["status"] = "completed"
        if asked.output is not None:
            self.annotations += asked.output.annotations
            self.figures["output"] = asked.output.model_dump(exclude={"annotations"})

    def show(self) -> dict[str, object]:
        """The check run as the API gives it."""
        output = self.figures.get("output")
        said = output if isinstance(output, dict) else {"title": None, "summary": None}
        return {
            "id": self.number,
            "head_sha": self.head_sha,
            "url": f"{API}/repos/{self.repo}/check-runs/{self.number}",
            "html_url": f"{WEB}/{self.repo}/runs/{self.number}",
            "started_at": zulu(self.started_at),
            "external_id": "",
            "conclusion": None,
            "app": {"id": 51234, "slug": self.app},
            "pull_requests": [],
            **self.figures,
            "output": said | {"annotations_count": len(self.annotations)},
        }
