"""How a GitHub App proves itself: web tokens of its own key, and the tokens of an installation.

docs.github.com, apps/creating-github-apps/authenticating-with-a-github-app (general knowledge of
the product's documentation): RS256, issued 60 s ago because clocks drift, for ten minutes at most.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from service.errors import Refused
from service.http import path_of
from service.vendors.base import Token
from service.vendors.github.answers import InstallationToken
from service.vendors.github.credentials import (
    GitHubConnectionOptions,
    GitHubCredentials,
    fixed_headers,
    read_key,
)

if TYPE_CHECKING:
    from service.http import VendorHttp

ISSUED_AGO_S = 60
LIFE_S = 540

UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
_HINTS = {
    UNAUTHORIZED: "GitHub does not believe that we are this App: check that app_id and private_key "
    "belong together and that the key is still in the App's settings, and this machine's clock",
    FORBIDDEN: "the installation may be suspended: look at it under Settings, Applications",
    NOT_FOUND: "this App has no installation of this installation_id: it is the number at the end "
    "of the address of the page Settings, Applications, Configure",
}


def web_token(key: RSAPrivateKey, app_id: str, now: datetime) -> str:
    """Give a JSON web token with which the App itself asks."""
    second = int(now.timestamp())
    head = {"alg": "RS256", "typ": "JWT"}
    claims = {"iat": second - ISSUED_AGO_S, "exp": second + LIFE_S, "iss": app_id}
    signed = f"{_encoded(head)}.{_encoded(claims)}"
    signature = key.sign(signed.encode(), PKCS1v15(), SHA256())
    return f"{signed}.{_packed(signature)}"


def app_headers(
    http: VendorHttp,
    credentials: GitHubCredentials,
    options: GitHubConnectionOptions,
    now: datetime,
) -> Mapping[str, str]:
    """Give the headers of a call that the App itself makes, not its installation.

    Raises Refused when the connection has a token only.
    """
    pem, app_id = credentials.private_key, credentials.app_id
    if pem is None or app_id is None:
        raise Refused(
            "only the GitHub App itself may ask this",
            hint="give the connection app_id, private_key and installation_id in place of a token",
        )
    # Reading a key takes longer than using it.
    key = http.remember("github.key", lambda: read_key(pem.get_secret_value()))
    return {
        **fixed_headers(options),
        "Authorization": f"Bearer {web_token(key, app_id, now)}",
    }


def fetch_token(
    http: VendorHttp,
    credentials: GitHubCredentials,
    options: GitHubConnectionOptions,
    now: datetime,
) -> Token | None:
    """Ask for a token of the installation, good for an hour; None when a token is configured."""
    if credentials.installation_id is None:
        return None
    path = path_of("app", "installations", credentials.installation_id, "access_tokens")
    headers = app_headers(http, credentials, options, now)
    try:
        answer = http.request("POST", path, headers=headers, bare=True, safe=True)
    except Refused as fault:
        # Without its status: it is not the answer to the call that needs the token.
        raise Refused(fault.message, hint=_HINTS.get(fault.status or 0, fault.hint)) from fault
    given = answer.read(InstallationToken)
    return Token(
        headers={"Authorization": f"Bearer {given.token.get_secret_value()}"},
        expires_at=given.expires_at,
    )


def _encoded(value: Mapping[str, object]) -> str:
    return _packed(json.dumps(value, separators=(",", ":")).encode())


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
