"""VibeView's suites."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite and the names of its cases."""

    suite_id: str
    name: str
    tags: tuple[str, ...]
    cases: tuple[str, ...]
    platform: str = "ios"

    def test_ids(self) -> dict[str, str]:
        """Names of the cases by their public id."""
        prefix = f"test_{self.suite_id.removeprefix('suite_')}"
        return {f"{prefix}_{number}": name for number, name in enumerate(self.cases, 1)}

    def show_tags(self) -> list[dict[str, str]]:
        """Tags as the vendor lists them."""
        return [{"name": tag, "display_name": tag.title()} for tag in self.tags]
