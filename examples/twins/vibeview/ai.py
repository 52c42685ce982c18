"""The AI's configuration and use, and tests made from recordings (reference 1.4, 1.5)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.vibeview import bodies
from examples.twins.vibeview.organisation import API, Organisation

NOTHING = {"input_tokens": 0, "output_tokens": 0, "cost_micro": 0, "runs_count": 0}


class AI:
    """The `ai` calls that run nothing."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        return (
            Route(f"{API}/ai/generate-test", self.generate, methods=["POST"]),
            Route(f"{API}/ai/config", self.show_config, methods=["GET"]),
            Route(f"{API}/ai/models", self.list_models, methods=["GET"]),
            Route(f"{API}/ai/usage", self.show_usage, methods=["GET"]),
        )

    async def generate(self, request: Request) -> Response:
        """A test with a step for every action of the recording."""
        asked = bodies.Recording.model_validate_json(await request.body() or b"{}")
        mark_effect(request)
        steps = [
            {"text": f"Do action {index}", "source_action_index": index, "screenshot": None}
            for index, _ in enumerate(asked.recording)
        ]
        name = f"Test of {asked.app_name or 'the app'}"
        return JSONResponse({"name": name, "steps": steps, "assertions": ["The app is open"]})

    async def show_config(self, _: Request) -> Response:
        """What is used when nothing is chosen."""
        return JSONResponse({"default_provider": "vibeview", "default_model": "standard"})

    async def list_models(self, _: Request) -> Response:
        """The models that can be chosen."""
        return JSONResponse(
            [
                {"id": "standard", "name": "Standard", "provider": "vibeview"},
                {"id": "large:byok", "name": "Large", "provider": "openrouter"},
            ]
        )

    async def show_usage(self, _: Request) -> Response:
        """What the AI used."""
        runs = len(self._organisation.book.runs)
        cost = self._organisation.credits.usage(runs=runs)["ai_cost_micro"]
        used = {**NOTHING, "cost_micro": cost, "runs_count": runs}
        return JSONResponse({"total": used, "byok": NOTHING, "vibeview": used, "by_model": []})
