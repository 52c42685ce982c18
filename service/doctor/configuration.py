"""What the doctor sees of the configuration: is it good, applied, and can its secrets be opened?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError

from schemas.clock import Clock
from schemas.configured_tables import SourceRow
from service.apply import Changes, What, apply_configuration
from service.configuration import Declared, read_configuration
from service.configuration_faults import FaultyConfigurationError
from service.db import Database
from service.doctor.verdicts import Verdict, count, fail, good, warn
from service.errors import ConfigurationError
from service.missing_connections import missing_connections
from service.queue import UnheardQueue
from service.secretbox import SecretBox
from service.settings import Effects, Settings, unknown_variables
from service.store.connections import every_connection
from service.store.seals import every_key
from service.store.sources import read_sources
from service.unit_of_work import reading
from service.vendors import BY_NAME

_SHOWN = 5
_KEYS = "secret_keys"


def look_at_environment(
    settings: Settings, variables: Mapping[str, str], faults: Mapping[str, str]
) -> Iterator[Verdict]:
    """Judge the variables of the environment; `faults` are those of wrong values."""
    unknown = unknown_variables(variables)
    # Those of the keys are told where their secrets are looked at.
    wrong = [fault for name, fault in faults.items() if name != _KEYS]
    if wrong:
        yield fail("environment", "; ".join(wrong), "correct it: no command runs with it")
    if unknown:
        yield warn("environment", "; ".join(unknown), "correct or remove it")
    elif not faults:
        yield good("environment", "every variable is known")
    if settings.public_url is None:
        yield warn(
            "public address",
            "HOOKWRIGHT_PUBLIC_URL is not set: messages and comments have no links",
            "set it to the address under which people and vendors reach Hookwright",
        )
    else:
        yield good("public address", settings.public_url)
    if settings.effects is Effects.SHADOW:
        yield warn(
            "effects",
            "HOOKWRIGHT_EFFECTS is shadow: nothing outside is changed",
            "set it to `live` when the dry run is over",
        )


def read_declared(
    settings: Settings, variables: Mapping[str, str]
) -> tuple[Declared | None, Verdict]:
    """Read the configuration file; gives what it declares, if it is good, and the verdict."""
    name = "file"
    if not settings.config.is_file():
        if "config" in settings.model_fields_set:
            return None, fail(
                name,
                f"{settings.config} is not there",
                "HOOKWRIGHT_CONFIG names it: correct that, or put the file there",
            )
        return None, warn(
            name,
            f"{settings.config} is not here",
            "`hookwright init` writes one; HOOKWRIGHT_CONFIG names another",
        )
    try:
        declared = read_configuration(settings.config, variables)
    except FaultyConfigurationError as error:
        first = str(error.findings[0]) if error.findings else error.message
        return None, fail(
            name,
            f"{count(len(error.findings), 'fault')} in {settings.config}; the first: {first}",
            "`hookwright apply --dry-run` shows all of them",
        )
    except ConfigurationError as error:
        return None, fail(name, error.message, error.hint or "correct it")
    parts = (
        count(len(declared.sources), "source"),
        count(len(declared.connections), "connection"),
        count(len(declared.workflows), "workflow"),
    )
    return declared, good(name, f"{settings.config}: {', '.join(parts)}")


def find_box(settings: Settings, faults: Mapping[str, str]) -> tuple[SecretBox | None, Verdict]:
    """Give what opens stored secrets, if there is a key, and the verdict."""
    if _KEYS in faults:
        return None, fail(
            "secret keys",
            faults[_KEYS],
            "give the keys that stored secrets were sealed with; `openssl rand -base64 32` makes "
            "one for a new installation",
        )
    try:
        keys = settings.required_secret_keys()
    except ConfigurationError as error:
        return None, fail("secret keys", error.message, error.hint or "set them")
    return SecretBox(keys), good("secret keys", count(len(keys), "key"))


def look_at_applied(
    declared: Declared, database: Database, box: SecretBox, settings: Settings, clock: Clock
) -> Iterator[Verdict]:
    """Judge whether the database says what the file declares."""
    try:
        changes = apply_configuration(
            declared,
            database=database,
            queue=UnheardQueue(),
            box=box,
            now=clock(),
            dry_run=True,
            shadow=settings.effects is Effects.SHADOW,
        )
    except ConfigurationError as error:
        yield fail("applied", error.message, error.hint or "correct the file")
        return
    yield _difference(changes)
    for sentence in changes.untied:
        yield warn("tie", sentence, "add it and run `hookwright apply`")


def _difference(changes: Changes) -> Verdict:
    news = [item for item in changes.items if item.what not in {What.UNCHANGED, What.LEFT}]
    left = [item for item in changes.items if item.what is What.LEFT]
    if news:
        shown = ", ".join(f"{item.kind} {item.name}" for item in news[:_SHOWN])
        more = f" and {len(news) - _SHOWN} more" if len(news) > _SHOWN else ""
        return warn(
            "applied",
            f"the file says something else than the database: {shown}{more}",
            "`hookwright apply --dry-run` shows what, `hookwright apply` makes it so",
        )
    if left:
        shown = ", ".join(f"{item.kind} {item.name}" for item in left[:_SHOWN])
        return warn(
            "applied",
            f"no longer in the file, and still in the database: {shown}",
            "`hookwright apply --prune` removes it",
        )
    return good("applied", "the database says what the file declares")


def look_at_stored(
    database: Database, box: SecretBox | None, settings: Settings
) -> Iterator[Verdict]:
    """Judge sources, connections and workflows as the database has them."""
    with reading(database) as session:
        sources = read_sources(session)
        connections = every_connection(session)
        keys = [row for row in every_key(session) if row.retired_at is None]
        missing = missing_connections(session, BY_NAME, shadow=settings.effects is Effects.SHADOW)
    if box is not None:
        sealed = [(f"source {row.name}", row.secrets) for row in sources]
        sealed += [(f"connection {row.name}", row.credentials) for row in connections]
        sealed += [("the key that seals rows", row.private) for row in keys]
        yield _opening(box, sealed)
    yield from _without_secret(box, sources)
    for sentence in missing:
        yield warn(
            "connections",
            sentence,
            "their steps fail when they get so far: add what is missing under `connections:`, or "
            "`hookwright workflow disable NAME`",
        )
    if not missing:
        yield good("connections", f"{count(len(connections), 'connection')}: all that are needed")


def _opening(box: SecretBox, rows: Sequence[tuple[str, bytes]]) -> Verdict:
    name = "stored secrets"
    closed = []
    for whose, sealed in rows:
        try:
            box.open(sealed)
        except ConfigurationError:
            closed.append(whose)
    if closed:
        return fail(
            name,
            f"no key of HOOKWRIGHT_SECRET_KEYS opens: {', '.join(closed)}",
            "add the key they were sealed with to the end of the list; if it is lost, apply the "
            "configuration again, and `hookwright audit change-key --lost` for the sealing key",
        )
    return good(name, f"every one of {len(rows)} can be opened" if rows else "there are none yet")


def _without_secret(box: SecretBox | None, sources: Sequence[SourceRow]) -> Iterator[Verdict]:
    name = "sources"
    enabled = [row for row in sources if row.enabled]
    bare = [row.name for row in enabled if box is not None and _is_bare(box, row)]
    if bare:
        yield fail(
            name,
            f"without secret, so answered 404: {', '.join(bare)}",
            "give `secrets` (or `path_token`) and run `hookwright apply`; `hookwright source show` "
            "tells what the vendor has to be told",
        )
    elif not enabled:
        yield warn(name, "none receives anything", "declare one under `sources:`")
    else:
        yield good(name, f"{count(len(enabled), 'source')} can receive")


def _is_bare(box: SecretBox, row: SourceRow) -> bool:
    vendor = BY_NAME.get(row.vendor)
    if vendor is None or vendor.incoming is None:
        return False
    try:
        options = vendor.incoming.options.model_validate(row.options)
        secrets = box.open(row.secrets)
    except (ConfigurationError, ValidationError):
        return False  # what cannot be opened is told above, what cannot be used by the door
    if vendor.incoming.wants_secret(options):
        return not secrets
    return row.path_token_sha256 is None
