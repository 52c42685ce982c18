"""What the code says of itself, as words for pages and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from service.markdown_text import anchor, code, plain, table
from service.vendor_facts import about, fields_of, type_in_words
from service.vendors import BY_NAME
from service.verification_facts import PATH_TOKEN, verification_of
from service.yaml_text import flow_yaml


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    name: str
    size: int = 0


class Model(BaseModel):
    """The first paragraph,
    on two lines.

    The second.
    """

    needed: str = Field(description="What must be there.")
    number: int = Field(default=5, ge=1, le=1000)
    span: timedelta = timedelta(hours=6)
    colour: Colour = Colour.RED
    secret: SecretStr | None = None
    inner: Inner = Inner(name="a")
    made: list[str] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (str, "text"),
        (str | None, "text"),
        (int | str, "whole number or text"),
        (UUID, "UUID"),
        (datetime, "time"),
        (timedelta, "duration"),
        (Any, "any value"),
        (dict, "object"),
        (Literal["a", "b"], "one of `a`, `b`"),
        (Colour, "one of `red`, `blue`"),
        (Annotated[str, Field(min_length=1)], "text"),
        (tuple[str, ...], "list of texts"),
        (list[int | str], "list of whole numbers or texts"),
        (Sequence[Literal["a"]], "list of values, each one of `a`"),
        (list[Inner], "list of objects, each an object with `name`, `size`"),
        (dict[str, bool], "object of true and false"),
        (Mapping[str, list[str]], "object of lists, each a list of texts"),
    ],
)
def test_types_are_said_as_people_say_them(annotation: Any, words: str) -> None:
    assert type_in_words(annotation) == words


def test_the_fields_of_a_model_are_told() -> None:
    told = {fact.name: (fact.type, fact.default) for fact in fields_of(Model)}
    assert told == {
        "needed": ("text", None),
        "number": ("whole number; at least 1; at most 1,000", "5"),
        "span": ("duration", "6h"),
        "colour": ("one of `red`, `blue`", "red"),
        "secret": ("secret", "none"),
        "inner": ("object with `name`, `size`", "{name: a, size: 0}"),
        "made": ("list of texts", "[]"),
    }
    assert fields_of(Model)[0].description == "What must be there."
    assert about(Model) == "The first paragraph, on two lines.\n\nThe second."
    assert not about(Inner)


# --- text ---------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029\ufeff")
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcxyz_", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_yaml_on_one_line_is_read_back_as_it_was(value: Any) -> None:
    assert yaml.safe_load(flow_yaml(value)) == value


def test_yaml_has_quotes_only_where_it_needs_them() -> None:
    written = flow_yaml({"scheme": "t-v1", "prefix": "sha256=", "on": "yes", "list": ["a", 1]})
    assert written == '{scheme: t-v1, prefix: "sha256=", "on": "yes", list: [a, 1]}'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<owner>/<repo> *x*", r"\<owner\>/\<repo\> \*x\*"),
        ("`<a>` and _b_ of snake_case", r"`<a>` and \_b_ of snake_case"),
        ("[x](y)", r"\[x\](y)"),
    ],
)
def test_plain_text_stays_plain_in_markdown(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_tables_and_code_keep_their_form() -> None:
    assert table(("a", "b"), [("1|2", "")]) == "| a | b |\n|---|---|\n| 1\\|2 | |"
    assert code("a`b") == "`` a`b ``"
    assert anchor("`github.commit_status`") == "githubcommit_status"


# --- verification -------------------------------------------------------------------------------


def test_the_way_of_proving_is_found_out_from_the_code() -> None:
    (github,) = verification_of(BY_NAME["github"])
    assert github.headers == ("X-Hub-Signature-256",)
    assert github.content == "HMAC-SHA256 of `{body}`, in hex"
    assert github.tolerance_s is None
    (slack,) = verification_of(BY_NAME["slack"])
    assert set(slack.headers) == {"X-Slack-Signature", "X-Slack-Request-Timestamp"}
    assert slack.tolerance_s == 300
    assert [way.scheme for way in verification_of(BY_NAME["checkview"])] == [PATH_TOKEN]


def test_the_default_goes_first() -> None:
    ways = verification_of(BY_NAME["vibeview"])
    assert [way.default for way in ways] == [True] + [False] * 4
    assert ways[0].scheme == "sha256-body"


@pytest.mark.parametrize("name", ["discord", "sendgrid"])
def test_keys_that_only_the_sender_has_do_not_hide_the_headers(name: str) -> None:
    (way,) = verification_of(BY_NAME[name])
    assert len(way.headers) == 2
