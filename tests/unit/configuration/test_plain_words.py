"""What a reader of a program's exceptions would have to guess is said in plain words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.config import Retention
from schemas.plain_words import faults_in_plain_words
from service.seal_head import parse_head
from service.vendors.base import read_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty, and no JSON"),
        (" \n", "it is empty, and no JSON"),
        ("key=of-somebody", "it is no JSON: it cannot be read from line 1, column 1 on"),
        ('{\n"a": }', "it is no JSON: it cannot be read from line 2, column 6 on"),
    ],
)
def test_what_is_no_json_is_said_without_a_word_of_it(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="no JSON") as caught:
        read_json(text.encode())
    assert str(caught.value) == said


def test_every_fault_is_named_with_its_place_and_no_value() -> None:
    with pytest.raises(ValidationError) as caught:
        Retention.model_validate({"deliverys": "10d", "archive": "s3cret", "runs": "1h"})
    said = faults_in_plain_words(caught.value)
    assert "deliverys: is not known here" in said
    assert "runs: must be at least 1 day" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("text", ["", "7", "seven:ab", "7:gh", "7:a", "0:ab", "7:AB"])
def test_what_is_no_seal_is_told_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="a seal is written as NUMBER:DIGEST"):
        parse_head(text)
