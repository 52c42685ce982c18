"""The AI's configuration, its use, and tests made from recordings (vendors.md §1.4, §1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from schemas.events import Json
from service.vendors.reading import Payload, Text, Whole
from service.vendors.vibeview.api.calling import Calls, Objects, objects

GENERATION_TIMEOUT_S = 120.0


class GeneratedStep(Payload):
    """A step that the AI read from a recording."""

    text: Text = None
    source_action_index: Whole = None
    screenshot: Text = None


class GeneratedTest(Payload):
    """A test that the AI made from a recording; it is kept nowhere yet."""

    name: Text = None
    steps: Annotated[tuple[GeneratedStep, ...], BeforeValidator(objects)] = ()
    assertions: Any = ()


class AIConfig(Payload):
    """What is used when nothing is chosen."""

    default_provider: Text = None
    default_model: Text = None


class AIModel(Payload):
    """A model; the id of one that runs on the organisation's own key ends in `:byok`."""

    id: Text = None
    name: Text = None
    provider: Text = None

    @property
    def is_own_key(self) -> bool:
        """Whether the organisation's own key pays for it."""
        return (self.id or self.name or "").endswith(":byok")


class AIUse(Payload):
    """What the AI used; for own keys the cost is an estimate and nothing is deducted."""

    input_tokens: Whole = None
    output_tokens: Whole = None
    cost_micro: Whole = None
    runs_count: Whole = None


class AIUsage(Payload):
    """What the AI used, on own keys and on VibeView's."""

    total: AIUse = Field(default_factory=AIUse)
    byok: AIUse = Field(default_factory=AIUse)
    vibeview: AIUse = Field(default_factory=AIUse)
    by_model: Objects = ()


class AICalls(Calls):
    """The AI's configuration and use."""

    def generate_test(
        self,
        recording: Sequence[Json],
        *,
        app_name: str | None = None,
        context: str | None = None,
        model: str | None = None,
    ) -> GeneratedTest:
        """Make a test of a recording; this costs credit and takes up to minutes."""
        chosen = {"app_name": app_name, "context": context, "model": model}
        named = {name: value for name, value in chosen.items() if value is not None}
        body = {"recording": list(recording), **named}
        answer = self._ask("POST", "/ai/generate-test", json=body, timeout_s=GENERATION_TIMEOUT_S)
        return answer.read(GeneratedTest)

    def config(self) -> AIConfig:
        """Give the provider and model that are used when none is chosen."""
        return self._get("/ai/config", role="viewer").read(AIConfig)

    def models(self) -> list[AIModel]:
        """Give the models that can be chosen."""
        answer = self._get("/ai/models", role="viewer")
        return [
            answer.fit(AIModel, {"id": row} if isinstance(row, str) else row)
            for row in answer.items("models")
            if isinstance(row, str | dict)
        ]

    def usage(self) -> AIUsage:
        """Give what the AI used."""
        return self._get("/ai/usage", role="viewer").read(AIUsage)
