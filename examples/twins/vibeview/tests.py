"""Suites and cases: reading and changing them (reference 1.4)."""

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.vibeview import bodies
from examples.twins.vibeview.library import JPEG, Case, SuiteSettings
from examples.twins.vibeview.organisation import API, Organisation, refusal
from examples.twins.vibeview.runs import pending_record
from examples.twins.vibeview.suites import Suite

_NAME = re.compile(r'(?:^|")\s*(?:- )?name: (.+)$', re.MULTILINE)


class Tests:
    """The calls below `/tests` that are about suites and cases."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        suites, cases = f"{API}/tests/suites", f"{API}/tests/cases"
        suite, case = f"{suites}/{{id}}", f"{cases}/{{id}}"
        get, post, patch = ["GET"], ["POST"], ["PATCH"]
        return (
            Route(f"{suites}/import-yaml", self.import_suite, methods=post),
            Route(f"{suite}/export-yaml", self.export_suite, methods=get),
            Route(f"{suite}/settings", self.change_settings, methods=patch),
            Route(suite, self.show_suite, methods=get),
            Route(suite, self.change_suite, methods=patch),
            Route(f"{API}/tests/tags", self.list_tags, methods=get),
            Route(cases, self.list_cases, methods=get),
            Route(case, self.show_case, methods=get),
            Route(case, self.change_case, methods=patch),
            Route(case, self.delete_case, methods=["DELETE"]),
            Route(f"{case}/runs", self.list_runs, methods=get),
            Route(f"{case}/run", self.record_run, methods=post),
            Route(f"{case}/baselines", self.list_baselines, methods=get),
            Route(f"{case}/baselines/step_{{step:int}}.jpg", self.show_baseline, methods=get),
        )

    async def show_suite(self, request: Request) -> Response:
        """A suite with its cases."""
        return JSONResponse(self._show(self._suite_id(request)))

    async def change_suite(self, request: Request) -> Response:
        """Change a suite; thresholds only where the reference has them."""
        suite_id = self._suite_id(request)
        asked = bodies.SuiteChange.model_validate_json(await request.body() or b"{}")
        at_settings = self._organisation.settings.thresholds_at == "settings"
        if at_settings and asked.thresholds():
            raise refusal(405, "Method Not Allowed")
        return self._change(request, suite_id, asked)

    async def change_settings(self, request: Request) -> Response:
        """Change the thresholds where the page about visual regression has them."""
        if self._organisation.settings.thresholds_at != "settings":
            raise refusal(404, "Not Found")
        suite_id = self._suite_id(request)
        asked = bodies.SuiteChange.model_validate_json(await request.body() or b"{}")
        return self._change(request, suite_id, asked)

    async def list_tags(self, _: Request) -> Response:
        """Every tag."""
        return JSONResponse(self._organisation.library.show_tags())

    async def export_suite(self, request: Request) -> Response:
        """A suite as YAML."""
        text = self._organisation.library.export(self._suite_id(request))
        return PlainTextResponse(text, media_type="application/yaml")

    async def import_suite(self, request: Request) -> Response:
        """A suite from YAML, however it is sent: how is not published."""
        names = _NAME.findall((await request.body()).decode(errors="replace").replace("\\n", "\n"))
        if not names:
            raise refusal(400, "The document has no name")
        number = len(self._organisation.book.suites) + 1
        suite = Suite(f"suite_new{number}", names[0], (), tuple(names[1:]))
        self._organisation.add_suite(suite)
        mark_effect(request)
        shown = {"public_id": suite.suite_id, "name": suite.name, "case_count": len(suite.cases)}
        return JSONResponse(shown)

    async def list_cases(self, request: Request) -> Response:
        """Cases, reusable ones or others when asked."""
        wanted = request.query_params.get("reusable")
        cases = self._organisation.library.cases.values()
        return JSONResponse(
            [
                case.show()
                for case in cases
                if wanted is None or case.is_reusable == (wanted == "true")
            ]
        )

    async def show_case(self, request: Request) -> Response:
        """A case with its steps."""
        return JSONResponse(self._case(request).show())

    async def change_case(self, request: Request) -> Response:
        """Change a case."""
        case = self._case(request)
        asked = bodies.CaseChange.model_validate_json(await request.body() or b"{}")
        if case.suite_id is not None and asked.model_fields_set & {"app_id", "is_reusable"}:
            raise refusal(400, "app_id and is_reusable cannot be changed on a case of a suite")
        for name in asked.model_fields_set & set(Case.__slots__):
            setattr(case, name, getattr(asked, name))
        mark_effect(request)
        return JSONResponse(case.show())

    async def delete_case(self, request: Request) -> Response:
        """Delete a case."""
        del self._organisation.library.cases[self._case(request).public_id]
        mark_effect(request)
        return Response(status_code=204)

    async def list_runs(self, request: Request) -> Response:
        """The runs of a case, newest first."""
        case = self._case(request)
        now_s = self._organisation.clock.seconds()
        runs = [run.record(now_s) for run in self._organisation.book.runs_of_case(case.name)]
        return JSONResponse(runs[::-1])

    async def record_run(self, request: Request) -> Response:
        """A run that is only a record."""
        mark_effect(request)
        return JSONResponse(pending_record(self._case(request).number))

    async def list_baselines(self, request: Request) -> Response:
        """The pictures of a case's steps."""
        return JSONResponse(self._organisation.library.show_baselines(self._case(request)))

    async def show_baseline(self, request: Request) -> Response:
        """One picture."""
        if request.path_params["step"] >= len(self._case(request).steps):
            raise refusal(404, "Baseline not found")
        return Response(JPEG, media_type="image/jpeg")

    def _change(self, request: Request, suite_id: str, asked: bodies.SuiteChange) -> Response:
        settings = self._organisation.library.settings[suite_id]
        values = {name: getattr(asked, name) for name in asked.model_fields_set}
        after = {
            name: values.get(name, getattr(settings, name)) for name in SuiteSettings.__slots__
        }
        warn, fail = after["visual_regression_warn_pct"], after["visual_regression_fail_pct"]
        if warn is not None and fail is not None and warn >= fail:
            raise refusal(400, "The warn threshold must be below the fail threshold")
        for name, value in after.items():
            setattr(settings, name, value)
        mark_effect(request)
        return JSONResponse(self._show(suite_id))

    def _show(self, suite_id: str) -> dict[str, object]:
        library = self._organisation.library
        settings = library.settings[suite_id]
        cases = [case.show() for case in library.cases_of(suite_id)]
        shown = {name: getattr(settings, name) for name in SuiteSettings.__slots__}
        tags = [{"name": tag, "display_name": tag.title()} for tag in settings.tags]
        own = {"public_id": suite_id, "case_count": len(cases), "tags": tags, "cases": cases}
        return {**shown, **own}

    def _suite_id(self, request: Request) -> str:
        suite_id = str(request.path_params["id"])
        if suite_id not in self._organisation.library.settings:
            raise refusal(404, "Suite not found")
        return suite_id

    def _case(self, request: Request) -> Case:
        case = self._organisation.library.cases.get(request.path_params["id"])
        if case is None:
            raise refusal(404, "Test case not found")
        return case
