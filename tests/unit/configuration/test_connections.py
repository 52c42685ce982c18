"""Connections of the configuration: addresses and credentials that no call could be made with."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.configuration import read_configuration
from service.configuration_faults import FaultyConfigurationError
from service.workflows.findings import Finding

FILE = """\
connections:
  - name: it
    vendor: VENDOR
    base_url: BASE
    credentials: {CREDENTIAL: {env: KEY}}
"""
VENDORS = [
    ("github", "token"),
    ("slack", "bot_token"),
    ("vibeview", "api_token"),
    ("checkrd", "api_key"),
    ("checksum", "api_key"),
]


def findings(
    tmp_path: Path, *, base: str = "https://api.example.com", key: str = "k", at: int = 0
) -> tuple[Finding, ...]:
    vendor, credential = VENDORS[at]
    text = FILE.replace("VENDOR", vendor).replace("CREDENTIAL", credential).replace("BASE", base)
    file = tmp_path / "hookwright.yaml"
    file.write_text(text)
    try:
        read_configuration(file, {"KEY": key})
    except FaultyConfigurationError as error:
        return error.findings
    return ()


@pytest.mark.parametrize(
    "base",
    [
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://api.example.com:port",
        "https://bot:s3cret-word@api.example.com",
        "https://@api.example.com",
        "https://api.example.com/v1?key=s3cret-word",
        '"https://api.example.com/?"',
        '"https://api.example.com/v1#part"',
        '"https://api .example.com"',
        '"https://api\\n.example.com"',
        '"https://[::1"',
        '""',
    ],
)
def test_an_address_that_cannot_be_called_is_refused_at_its_place(
    tmp_path: Path, base: str
) -> None:
    (found,) = findings(tmp_path, base=base)
    assert (found.line, found.column) == (4, 15)
    assert found.message == "base_url is no usable address"
    assert "https://api.example.com" in str(found.hint)
    assert "s3cret-word" not in str(found)


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "https://git.example.com/api/v3/"])
def test_an_address_that_can_be_called_is_taken(tmp_path: Path, base: str) -> None:
    assert findings(tmp_path, base=base) == ()


@pytest.mark.parametrize("at", range(len(VENDORS)), ids=[name for name, _ in VENDORS])
@pytest.mark.parametrize("key", ["s3cret\nword", "s3cret\u2019word", "s3cret\x00word", "s3cret "])
def test_a_credential_that_no_header_can_carry_is_refused(
    tmp_path: Path, at: int, key: str
) -> None:
    (found,) = findings(tmp_path, key=key, at=at)
    assert (found.line, found.column) == (5, 18 + len(VENDORS[at][1]) + 3)
    assert "that no header can have" in found.message
    assert "s3cret" not in str(found)
    assert "invisible characters" in str(found.hint)


@pytest.mark.parametrize("at", range(len(VENDORS)), ids=[name for name, _ in VENDORS])
def test_a_plain_credential_is_taken(tmp_path: Path, at: int) -> None:
    assert findings(tmp_path, at=at) == ()
