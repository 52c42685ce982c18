"""What a connection to GitHub is configured with: a token, or the key of a GitHub App."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from service.vendors.base import Options, PerMinuteOrUsual
from service.vendors.reading import Text, as_text

API_VERSION = "2022-11-28"
"""Pinned: later versions may break what is read here (vendors.md §6.2)."""
APP_FIELDS = ("app_id", "private_key", "installation_id")

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_PEM_LINE = 64
_PASTE = "paste the whole .pem file that GitHub gave when the key was made, or name it by {file: …}"


class GitHubCredentials(BaseModel):
    """A token, or the three parts of a GitHub App."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="A personal token, or one of an installation that is made elsewhere.",
    )
    app_id: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")] | None,
        BeforeValidator(as_text),
    ] = Field(default=None, description="The App's number or its client id.")
    private_key: SecretStr | None = Field(
        default=None,
        description="The App's private key, a PEM text; its line breaks may be written as "
        "backslash and n, as environments that hold one line want it.",
    )
    installation_id: int | None = Field(
        default=None, ge=1, description="The number of the App's installation."
    )

    @field_validator("private_key")
    @classmethod
    def _readable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = pem_of(value.get_secret_value())
        read_key(text)
        return SecretStr(text)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [name for name in APP_FIELDS if getattr(self, name) is not None]
        if self.token is not None and given:
            message = f"give either token or {', '.join(APP_FIELDS)}, not both"
            raise ValueError(message)
        if self.token is None and not given:
            message = f"give a token, or {', '.join(APP_FIELDS)} of a GitHub App"
            raise ValueError(message)
        missing = [name for name in APP_FIELDS if name not in given]
        if given and missing:
            message = f"a GitHub App needs {' and '.join(missing)} too"
            raise ValueError(message)
        return self

    @property
    def is_app(self) -> bool:
        """Say whether these are an App's, whose tokens have to be asked for."""
        return self.token is None


class GitHubConnectionOptions(Options):
    """Options of a connection."""

    api_version: str = Field(
        default=API_VERSION,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="The version of the API that every call asks for.",
    )
    login: Text = Field(default=None, description="Whose token it is, where GitHub does not tell.")
    per_minute: PerMinuteOrUsual = Field(
        default=None,
        description="Calls a minute, in place of the 5000 an hour that are kept otherwise; an App "
        "may have more.",
    )


def fixed_headers(options: GitHubConnectionOptions) -> dict[str, str]:
    """Give the headers that go with every call, whoever makes it."""
    return {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": options.api_version,
    }


def auth_headers(
    credentials: GitHubCredentials, options: GitHubConnectionOptions
) -> Mapping[str, str]:
    """Give the token as a bearer, with the version of the API that is pinned."""
    headers = fixed_headers(options)
    if credentials.token is not None:
        headers["Authorization"] = f"Bearer {credentials.token.get_secret_value()}"
    return headers


def pem_of(text: str) -> str:
    """Give a key as the PEM it was before it went through one line of an environment.

    Raises ValueError in words for what is no private key.
    """
    found = _PEM.search(text.replace("\\r", "").replace("\\n", "\n"))
    if found is None:
        message = f"private_key is no PEM text, which begins with -----BEGIN: {_PASTE}"
        raise ValueError(message)
    kind, inner = found[1], found[2]
    if "PRIVATE KEY" not in kind:
        message = f"private_key holds a {kind.lower()} and no private key: {_PASTE}"
        raise ValueError(message)
    if "ENCRYPTED" in kind or "ENCRYPTED" in inner:
        message = "private_key is locked with a passphrase: take that away with `openssl rsa`"
        raise ValueError(message)
    packed = "".join(inner.split())
    lines = [packed[start : start + _PEM_LINE] for start in range(0, len(packed), _PEM_LINE)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])


def read_key(pem: str) -> RSAPrivateKey:
    """Give the key in a PEM text. Raises ValueError in words."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        message = f"private_key is damaged or cut: {_PASTE}"
        raise ValueError(message) from fault
    if not isinstance(key, RSAPrivateKey):
        message = f"private_key is no RSA key, as those of GitHub Apps are: {_PASTE}"
        raise ValueError(message)  # noqa: TRY004  # wrong content is a ValueError here
    return key
