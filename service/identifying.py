"""Finding out how a request that the server kept was signed, where the secrets are."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from schemas.connecting import IdentifyQuestion, IdentifyReport
from schemas.tables import DeliveryRow, RejectionRow
from service.captured import Captured, captured_delivery, captured_rejection
from service.db import Database
from service.diagnosis import about_path
from service.errors import Invalid
from service.identification import identify
from service.proving import WRONG_PATH_TOKEN
from service.refused import restore
from service.secretbox import SecretBox
from service.settings import Settings
from service.source_secrets import open_secrets
from service.store import details
from service.store import sources as store
from service.unit_of_work import reading


def identify_rejection(
    settings: Settings,
    database: Database,
    ident: UUID,
    question: IdentifyQuestion,
    now: datetime,
) -> IdentifyReport:
    """Say which scheme fits a refused request, with the given secrets or its source's own.

    Raises NotFound, and Invalid when there is no secret to compare with.
    """
    with reading(database) as session:
        row = details.read(session, RejectionRow, ident)
        whole = restore(row, SecretBox(settings.required_secret_keys()))
        captured = captured_rejection(row, None if whole is None else whole.headers)
    return _report(settings, database, captured, row.source, question, now, refused=row.reason)


def identify_delivery(
    settings: Settings,
    database: Database,
    ident: UUID,
    question: IdentifyQuestion,
    now: datetime,
) -> IdentifyReport:
    """Say the same of a stored delivery."""
    with reading(database) as session:
        row = details.read(session, DeliveryRow, ident)
        captured = captured_delivery(row)
    return _report(settings, database, captured, row.source, question, now)


def _report(
    settings: Settings,
    database: Database,
    captured: Captured,
    source: str,
    question: IdentifyQuestion,
    now: datetime,
    *,
    refused: str | None = None,
) -> IdentifyReport:
    with reading(database) as session:
        row = store.named(session, source)
        sealed = None if row is None else row.secrets
        has_path_token = row is not None and row.path_token_sha256 is not None
    secrets = question.secrets
    if secrets is None:
        secrets = _secrets_of(settings, source, sealed)
    report = identify(
        captured,
        secrets,
        now,
        source=None if row is None else source,
        known_reason=about_path(source, has_token=has_path_token)
        if row is not None and refused == WRONG_PATH_TOKEN
        else None,
    )
    return IdentifyReport.model_validate(report.as_json())


def _secrets_of(settings: Settings, source: str, sealed: bytes | None) -> list[str]:
    if sealed is None:
        raise Invalid(
            f"there is no source `{source}` with secrets to compare with",
            hint="give the secret that the sender has",
        )
    box = SecretBox(settings.required_secret_keys())
    return [secret.value for secret in open_secrets(box, sealed)]
