"""Suites and their tags, thresholds and backups (vendors.md §1.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Literal, TypedDict, Unpack

from pydantic import AliasChoices, Field

from schemas.events import Json
from service.errors import Refused, VendorBroken
from service.http import path_of
from service.vendors.reading import Object, Payload, Text, Time, Whole, as_text
from service.vendors.vibeview.api.calling import Calls, Objects, rows_of
from service.vendors.vibeview.api.ci import Match, Tag, Tags
from service.vendors.vibeview.api.uploads import make_form

ImportForm = Literal["raw", "form", "json"]
_YAML = "application/yaml"
_ELSEWHERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


class SuiteChanges(TypedDict, total=False):
    """What of a suite is changed; `tags` replaces. A threshold of None switches its tier off."""

    name: str
    description: str
    reset_strategy: Literal["relaunch", "clear_data", "reinstall"]
    context: str
    variables: Mapping[str, Json]
    visual_regression_warn_pct: int | None
    visual_regression_fail_pct: int | None
    tags: Sequence[str]


class TestSuite(Payload):
    """A suite with its last run and, when asked for alone, its cases.

    The thresholds are percent of changed pixels; None switches a tier off.
    """

    __test__ = False  # the name begins with Test; pytest must not collect it

    public_id: Text = Field(default=None, validation_alias=AliasChoices("public_id", "id"))
    name: Text = None
    description: Text = None
    case_count: Whole = None
    reset_strategy: Text = None
    context: Text = None
    variables: Object = Field(default_factory=dict)
    visual_regression_warn_pct: Whole = None
    visual_regression_fail_pct: Whole = None
    last_run_status: Text = None
    last_run_at: Time = None
    tags: Tags = ()
    cases: Objects = ()


class ImportedSuite(Payload):
    """A suite that was made from a YAML document."""

    public_id: str
    name: Text = None
    case_count: Whole = None


class SuiteCalls(Calls):
    """Suites of the token's organisation."""

    def all(
        self, *, app_id: str | None = None, tags: Sequence[str] = (), match: Match = "any"
    ) -> list[TestSuite]:
        """Give the suites, those of an app or with any or all of these tags when named."""
        params = {
            "app_id": app_id,
            "tags": ",".join(tags) or None,
            "match": match if tags else None,
        }
        return rows_of(self._get("/tests/suites", params, role="viewer"), TestSuite, "suites")

    def one(self, suite_id: str) -> TestSuite:
        """Give a suite with its cases."""
        return self._get(f"/tests/suites{path_of(suite_id)}", role="viewer").read(TestSuite)

    def change(self, suite_id: str, **changes: Unpack[SuiteChanges]) -> TestSuite:
        """Change what is named."""
        return self._patch(f"/tests/suites{path_of(suite_id)}", dict(changes))

    def set_thresholds(
        self, suite_id: str, *, warn_pct: int | None, fail_pct: int | None
    ) -> TestSuite:
        """Set both visual tiers in percent of changed pixels; None switches a tier off.

        VibeView's pages contradict each other about the path: the API reference's is used, and
        the other (`/settings`) where that one is not served.
        """
        path = f"/tests/suites{path_of(suite_id)}"
        body = {"visual_regression_warn_pct": warn_pct, "visual_regression_fail_pct": fail_pct}
        try:
            return self._patch(path, body)
        except Refused as fault:
            if fault.status not in _ELSEWHERE:
                raise
            first = fault
        try:
            return self._patch(f"{path}/settings", body)
        except Refused as fault:
            # Where neither path is served, the reference's answer says more.
            raise (first if fault.status in _ELSEWHERE else fault) from fault

    def tags(self) -> list[Tag]:
        """Give the tags there are, with the number of their suites."""
        return rows_of(self._get("/tests/tags", role="viewer"), Tag, "tags")

    def export_yaml(self, suite_id: str) -> str:
        """Give a suite as a YAML document, as a backup before it is changed by machine."""
        path = f"/tests/suites{path_of(suite_id)}/export-yaml"
        answer = self._ask("GET", path, headers={"Accept": f"{_YAML}, */*"}, role="viewer")
        if "json" not in answer.headers.get("content-type", ""):
            return answer.text()
        value = answer.json()
        members = list(value.values()) if isinstance(value, dict) else [value]
        found = [text for member in members if (text := as_text(member)) and "\n" in text]
        if len(found) != 1:
            raise VendorBroken("VibeView's answer to the export of a suite holds no YAML document")
        return found[0]

    def import_yaml(
        self, document: str, *, app_id: str | None = None, form: ImportForm = "raw"
    ) -> ImportedSuite:
        """Make a suite of a YAML document, for the app when named.

        How the document is sent is not published: as the body itself, as the `file` of a form, or
        as the member `yaml` of a JSON object.
        """
        path, params = "/tests/suites/import-yaml", {"app_id": app_id}
        if form == "json":
            answer = self._ask("POST", path, params=params, json={"yaml": document})
        else:
            content, kind = document.encode(), _YAML
            if form == "form":
                content, kind = make_form({}, "file", "suite.yaml", content, _YAML)
            headers = {"Content-Type": kind}
            answer = self._ask("POST", path, params=params, content=content, headers=headers)
        return answer.read(ImportedSuite)

    def _patch(self, path: str, body: Mapping[str, Json]) -> TestSuite:
        # Changing to the same values twice ends where doing it once does.
        return self._ask("PATCH", path, json=dict(body), safe=True).read(TestSuite)
