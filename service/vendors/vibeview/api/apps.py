"""Apps and their builds (vendors.md §1.4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field

from service.errors import Refused
from service.http import path_of
from service.vendors.reading import Object, Payload, Text, Texts, Time, Whole
from service.vendors.vibeview.api.calling import Calls, objects, rows_of
from service.vendors.vibeview.api.uploads import make_form

MAX_BUILD_BYTES = 500 * 1024 * 1024
MAX_NOTE_CHARS = 500
UPLOAD_TIMEOUT_S = 600.0


class Build(Payload):
    """One build of an app; `id` is the `build_id` of CI calls."""

    id: Whole = None
    version: Text = None
    build_number: Text = None
    file_size: Whole = None
    uploaded_by: Text = None
    uploaded_at: Time = None
    tags: Texts = ()
    metadata: Object = Field(default_factory=dict)


class App(Payload):
    """An app and its builds."""

    id: Text = Field(default=None, validation_alias=AliasChoices("public_id", "app_id", "id"))
    name: Text = None
    platform: Text = None
    builds: Annotated[tuple[Build, ...], BeforeValidator(objects)] = ()


class AppCalls(Calls):
    """Apps of the token's organisation."""

    def all(self, *, platform: str | None = None) -> list[App]:
        """Give the apps, those of a platform when named."""
        answer = self._get("/apps/", {"platform": platform}, role="viewer")
        return rows_of(answer, App, "apps")

    def one(self, app_id: str) -> App:
        """Give an app with its builds."""
        return self._get(f"/apps{path_of(app_id)}", role="viewer").read(App)

    def upload_build(
        self,
        app_id: str,
        content: bytes,
        *,
        filename: str,
        version: str | None = None,
        note: str | None = None,
    ) -> Build:
        """Upload a build of at most 500 MB, with a note of at most 500 characters; ten a minute.

        Raises Refused, calling nobody, when it is larger.
        """
        if len(content) > MAX_BUILD_BYTES or len(note or "") > MAX_NOTE_CHARS:
            raise Refused(
                "VibeView takes builds of at most 500 MB with notes of at most 500 characters",
                hint="upload a smaller build, or shorten the note",
            )
        chosen = {"version": version, "note": note}
        fields = {name: value for name, value in chosen.items() if value is not None}
        body, kind = make_form(fields, "file", filename, content, "application/octet-stream")
        answer = self._ask(
            "POST",
            f"/apps{path_of(app_id)}/builds",
            content=body,
            headers={"Content-Type": kind},
            timeout_s=UPLOAD_TIMEOUT_S,
        )
        return answer.read(Build)
