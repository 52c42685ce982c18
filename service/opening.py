"""Whether the door may open before the configuration is applied again.

After a restart with the same configuration the sources in the database are those of the file, so
that deliveries can be taken while all else is still being loaded. What was applied is remembered by
a digest of whatever sources are made of; when anything of it is not the same, or cannot be read,
the configuration is applied first, as it is on the first day.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from schemas.config import SecretReference
from service.db import Database, Session
from service.errors import HookwrightError
from service.secret_references import resolve_secret
from service.settings import Settings
from service.store.policies import read_policy, set_policy
from service.store.revision import newest
from service.store.sources import read_sources_mark
from service.unit_of_work import reading

if TYPE_CHECKING:
    from service.configuration_sources import DeclaredSource

_POLICY = "opened_with"


def may_open(database: Database, settings: Settings, environment: Mapping[str, str]) -> bool:
    """Say whether the sources in the database are what the configuration file declares."""
    try:
        with reading(database) as session:
            known = read_policy(session, _POLICY)
            mark = read_sources_mark(session)
        if known is None or known.get("mark") != mark:
            return False
        references = [SecretReference.model_validate(item) for item in known["references"]]
        folder = settings.config.parent
        secrets = [resolve_secret(item, folder, environment) for item in references]
        digest = _digest(settings, settings.config.read_text(encoding="utf-8"), secrets)
    except (HookwrightError, OSError, ValueError, KeyError, TypeError):
        # Whatever it is, applying the configuration says it better.
        return False
    return hmac.compare_digest(digest, str(known.get("digest", "")))


def secrets_elsewhere(sources: Iterable[DeclaredSource]) -> list[tuple[SecretReference, str]]:
    """Give where secrets of sources come from, with the secrets.

    A secret that stands in the file itself is a part of the file, and is not among them.
    """
    found = []
    for source in sources:
        pairs = list(zip(source.config.secrets, source.secrets, strict=True))
        if source.config.path_token is not None and source.path_token is not None:
            pairs.append((source.config.path_token, source.path_token))
        found += [pair for pair in pairs if pair[0].value is None]
    return found


def remember(
    session: Session,
    settings: Settings,
    text: str,
    secrets: Sequence[tuple[SecretReference, str]],
    *,
    now: datetime,
) -> None:
    """Note, in the transaction that applies a file of this text, that its sources are known."""
    said: dict[str, Any] = {
        "mark": read_sources_mark(session),
        "references": [item.model_dump(exclude_none=True) for item, _ in secrets],
        "digest": _digest(settings, text, [secret for _, secret in secrets]),
    }
    if said != read_policy(session, _POLICY):
        set_policy(session, _POLICY, said, now=now)


def _digest(settings: Settings, text: str, secrets: Iterable[str]) -> str:
    """Give the digest under the installation's own key: it tells nothing of the secrets."""
    parts = [version("hookwright"), newest(), text, *secrets]
    key = settings.required_secret_keys()[0].encode()
    return hmac.digest(key, json.dumps(parts).encode(), sha256().name).hex()
