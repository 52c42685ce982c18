"""Whether the door may open before the configuration is applied again.

After a restart with the same configuration the sources in the database are those of the file, so
that deliveries can be taken while all else is still being loaded. What was applied is remembered by
a digest of whatever sources are made of; when anything of it is not the same, or cannot be read,
the configuration is applied first, as it is on the first day.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from schemas.config import SecretReference
from service.db import Database, Session
from service.errors import HookwrightError
from service.secret_references import SecretMissingError, resolve_secret
from service.settings import Settings
from service.store.policies import read_policy, set_policy
from service.store.revision import newest
from service.store.sources import read_sources_mark
from service.unit_of_work import reading

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
        digest = _digest(settings, references, environment)
    except (HookwrightError, OSError, ValueError, KeyError, TypeError):
        # Whatever it is, applying the configuration says it better.
        return False
    return hmac.compare_digest(digest, str(known.get("digest", "")))


def remember(
    session: Session,
    settings: Settings,
    references: Iterable[SecretReference],
    environment: Mapping[str, str],
    *,
    now: datetime,
) -> None:
    """Note that the sources are now what the file declares, with secrets from these places.

    A secret that stands in the file itself is a part of the file, and is not written down here.
    """
    elsewhere = [item for item in references if item.value is None]
    try:
        digest = _digest(settings, elsewhere, environment)
    except (OSError, SecretMissingError):
        return  # it has just gone: the next start applies first, and says so
    said: dict[str, Any] = {
        "mark": read_sources_mark(session),
        "references": [item.model_dump(exclude_none=True) for item in elsewhere],
        "digest": digest,
    }
    if said != read_policy(session, _POLICY):
        set_policy(session, _POLICY, said, now=now)


def _digest(
    settings: Settings, references: Iterable[SecretReference], environment: Mapping[str, str]
) -> str:
    """Give the digest under the installation's own key: it tells nothing of the secrets."""
    folder: Path = settings.config.parent
    parts = [
        version("hookwright"),
        newest(),
        settings.config.read_text(encoding="utf-8"),
        *(resolve_secret(item, folder, environment) for item in references),
    ]
    key = settings.required_secret_keys()[0].encode()
    return hmac.digest(key, json.dumps(parts).encode(), sha256().name).hex()
