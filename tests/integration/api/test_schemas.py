"""The schemas of our files at their stable addresses."""

from __future__ import annotations

import httpx
import jsonschema
import pytest

from service.published_schemas import NAMES, published_schema
from tests.integration.api.conftest import Installation


@pytest.mark.parametrize("name", NAMES)
def test_an_editor_reads_a_schema_without_a_token(face: Installation, name: str) -> None:
    address = face.client.base_url.join(f"/schemas/{name}")
    answer = httpx.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.json() == published_schema(name)
    jsonschema.Draft202012Validator.check_schema(answer.json())


def test_another_name_is_a_problem(face: Installation) -> None:
    answer = httpx.get(face.client.base_url.join("/schemas/worflow.json"))
    assert answer.status_code == 404
    assert "workflow.json" in answer.text
