"""An App that is installed at GitHub's twin, and callers that use it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from examples.twins.launch import TwinProcess
from service.vendors.github import VENDOR
from tests.integration.vendors.conftest import Caller
from tests.vendors.key_pairs import rsa_key

TOKEN = "ghp_twintokentwintoken"
REPO = "acme-co/webapp"
HEAD = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
TOKENS = "/app/installations/5001/access_tokens"

KEY = rsa_key()
OTHER_KEY = rsa_key()


def pem(key: rsa.RSAPrivateKey = KEY) -> str:
    """The key as GitHub hands it out."""
    kind = PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(Encoding.PEM, kind, NoEncryption()).decode()


def public_pem() -> str:
    public = KEY.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def credentials(**other: Any) -> dict[str, Any]:
    return {"app_id": "51234", "private_key": pem(), "installation_id": 5001} | other


def install(twin: TwinProcess) -> TwinProcess:
    """Let the twin know the token and the App."""
    twin.set(key=TOKEN, login="qa-bot", app_public_key=public_pem(), receiver=None)
    return twin


def by_token(twin: TwinProcess, **options: Any) -> Caller:
    return _now(Caller(VENDOR, twin.url, {"token": TOKEN}, options))


def by_app(twin: TwinProcess, **other: Any) -> Caller:
    return _now(Caller(VENDOR, twin.url, credentials(**other)))


def _now(caller: Caller) -> Caller:
    caller.now = datetime.now(UTC)
    return caller
