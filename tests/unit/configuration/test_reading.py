"""Reading hookwright.yaml: what is wrong with it is said at once, with its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from service.configuration import Declared, read_configuration, read_source
from service.configuration_faults import FaultyConfigurationError
from service.errors import ConfigurationError

Read = Callable[..., Declared]

# Contract §4, as it stands there, without `subscriptions`, which this version refuses.
OF_THE_CONTRACT = """\
sources:
  - name: vibeview
    vendor: vibeview
    secrets: [{env: VIBEVIEW_WEBHOOK_SECRET}]      # {env: NAME} | {file: PATH} | {value: TEXT}
    options: {scheme: sha256-body}                 # typed per vendor
    limits: {max_body: 1MiB, per_second: 500, burst: 1000}
connections:
  - name: checksum
    vendor: checksum
    base_url: https://api.checksum.ai              # every connection can be pointed elsewhere
    credentials: {api_key: {env: CHECKSUM_API_KEY}}
  - {name: vibeview, vendor: vibeview, credentials: {api_token: {env: VIBEVIEW_API_TOKEN}}}
  - {name: github, vendor: github, credentials: {token: {env: GITHUB_TOKEN}}}
  - name: slack
    vendor: slack
    credentials: {bot_token: {env: SLACK_BOT_TOKEN}}
    options: {channel: "#qa"}
polls:
  - name: vibeview-credits
    connection: vibeview
    poll: credit_balance
    every: 5m
    options: {floor_usd: 5}
workflows: [workflows/*.yaml]
retention: {deliveries: 30d, runs: 90d}
"""
ENVIRONMENT = {
    "VIBEVIEW_WEBHOOK_SECRET": "vibeview-webhook-secret",
    "CHECKSUM_API_KEY": "checksum-key",
    "VIBEVIEW_API_TOKEN": "tok_demo",
    "GITHUB_TOKEN": "ghp_demo",
    "SLACK_BOT_TOKEN": "xoxb-demo",
}
WORKFLOW = """\
name: tell
on:
  - event: test_run.failed
vars: {severity: warning}
steps:
  - id: opened
    uses: alert.open
    with: {key: "run:${{ event.subject }}", title: A run failed, severity: "${{ vars.severity }}"}
"""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """`read(text, **environment)` reads a configuration file with one workflow beside it."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "tell.yaml").write_text(WORKFLOW)

    def read_text(text: str, **environment: str) -> Declared:
        (tmp_path / "hookwright.yaml").write_text(text)
        return read_configuration(tmp_path / "hookwright.yaml", environment)

    return read_text


def faults(read: Read, text: str, **environment: str) -> list[tuple[int, int, str]]:
    with pytest.raises(FaultyConfigurationError) as caught:
        read(text, **environment)
    return [
        (finding.line, finding.column, f"{finding.message} | {finding.hint}")
        for finding in caught.value.findings
    ]


def test_the_example_of_the_contract_is_read(read: Read) -> None:
    declared = read(OF_THE_CONTRACT, **ENVIRONMENT)
    (source,) = declared.sources
    assert source.secrets == ("vibeview-webhook-secret",)
    assert (source.config.limits.max_body, source.config.limits.burst) == (1024 * 1024, 1000)
    assert [item.config.name for item in declared.connections] == [
        "checksum",
        "vibeview",
        "github",
        "slack",
    ]
    assert declared.connections[0].credentials == {"api_key": "checksum-key"}
    assert declared.connections[3].config.options == {"channel": "#qa"}
    assert declared.polls[0].every == timedelta(minutes=5)
    assert [item.document.name for item in declared.workflows] == ["tell"]
    assert declared.retention.runs == timedelta(days=90)


def test_everything_that_is_wrong_is_said_at_once(read: Read) -> None:
    text = """\
sources:
  - name: one
    vendor: vibevew
    secrets: [{env: NOT_SET}]
    limts: {}
  - name: two
    vendor: vibeview
    secrets: [{value: good-secret}]
    options: {schem: x}
    limits: {max_body: much}
  - {name: two, vendor: github, secrets: [{value: good-secret}]}
  - {name: three, vendor: sentry, secrets: [{value: good-secret}], reconcile: {every: 1h}}
  - {name: four, vendor: slack}
connections:
  - {name: slack, vendor: slack, credentials: {bot_tokn: {value: xoxb}}}
polls:
  - {name: p, connection: vibeviw, poll: credit_balance}
  - {name: q, connection: slack, poll: credit_balance}
subscriptions:
  - {name: s, url: "https://example.com"}
workflows: [nothing/*.yaml, {file: workflows/*.yaml, vars: {severty: x}}]
conections: []
"""
    found = faults(read, text)
    expected = [
        (3, 13, "there is no vendor `vibevew` | did you mean `vibeview`?"),
        (4, 15, "the environment variable NOT_SET is not set (for source `one`)"),
        (5, 5, "the key `limts` is not known here | did you mean `limits`?"),
        (9, 15, "the key `schem` is not known here | did you mean `scheme`?"),
        (10, 24, "'much' is no size"),
        (11, 12, "the name `two` is given twice in `sources`"),
        (12, 68, "Sentry keeps no record to compare with | remove `reconcile`"),
        (13, 5, "the source `four` has no secret"),
        (15, 48, "the key `bot_tokn` is not known here | did you mean `bot_token`?"),
        (17, 27, "there is no connection `vibeviw`"),
        (18, 40, "Slack has no poll `credit_balance`"),
        (19, 1, "this version sends no webhooks of its own"),
        (21, 13, "no file matches `nothing/*.yaml`"),
        (21, 61, "the workflow `tell` has no var `severty` | did you mean `severity`?"),
        (22, 1, "the key `conections` is not known here | did you mean `connections`?"),
    ]
    for line, column, words in expected:
        assert any(
            (line, column) == (at_line, at_column) and words in said
            for at_line, at_column, said in found
        ), f"{line}:{column} {words} is not among\n" + "\n".join(map(str, found))


def test_a_secret_is_never_repeated_in_a_fault(read: Read, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    text = (
        "sources:\n"
        "  - name: a\n"
        "    vendor: vibeview\n"
        "    secrets: [{file: empty}, {file: absent}, {value: swordfish, env: X}]\n"
        "  - {name: b, vendor: vibeview, secrets: swordfish}\n"
        "connections:\n"
        "  - {name: c, vendor: checksum, credentials: {api_key: {value: [swordfish]}}}\n"
    )
    said = str(faults(read, text))
    assert "swordfish" not in said
    assert "exactly one of env, file, value" in said


def test_secret_files_are_relative_to_the_configuration(read: Read, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "secret").write_text("of-the-file\n")
    text = "sources: [{name: a, vendor: vibeview, secrets: [{file: kept/secret}]}]\n"
    assert read(text).sources[0].secrets == ("of-the-file",)
    said = faults(read, text.replace("kept/secret", "absent"))
    assert "cannot be read" in said[0][2]


def test_a_source_that_signs_nothing_needs_a_path_token(read: Read) -> None:
    unsigned = "sources: [{name: a, vendor: generic, options: {scheme: none}%s}]\n"
    assert "path_token" in faults(read, unsigned % "")[0][2]
    declared = read(unsigned % ", path_token: {value: long-enough-token}")
    assert declared.sources[0].path_token == "long-enough-token"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("options: {header: X-Token}", "a signing secret is needed"),
        ("secrets: [{value: good-secret}]", "header"),
    ],
)
def test_a_header_of_ones_own_and_its_secret_go_together(read: Read, wrong: str, said: str) -> None:
    source = "{name: c, vendor: checkview, path_token: {value: long-enough-token}, %s}"
    good = "options: {header: X-Token}, secrets: [{value: good-secret}]"
    assert read(f"sources: [{source % good}]\n").sources
    assert said in faults(read, f"sources: [{source % wrong}]\n")[0][2]


CHECKED = """\
sources:
  - {name: checkly, vendor: checkly, secrets: [{value: good-secret}], %s}
connections:
  - {name: one, vendor: checkly, credentials: {api_key: {value: k}, account_id: {value: a}}}
  - {name: two, vendor: checkly, credentials: {api_key: {value: k}, account_id: {value: a}}}
  - {name: slack, vendor: slack, credentials: {bot_token: {value: xoxb-1}}}
"""


def test_a_source_may_name_its_account_and_how_it_is_compared(read: Read) -> None:
    text = CHECKED % "connection: one, reconcile: {every: 1h, records: {check_alerts: {}}}"
    config = read(text).sources[0].config
    assert config.connection == "one"
    assert config.reconcile is not None
    assert (config.reconcile.every, config.reconcile.since) == (
        timedelta(hours=1),
        timedelta(hours=24),
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("connection: on", "there is no connection `on`"),
        ("connection: slack", "the connection `slack` belongs to slack"),
        ("reconcile: {every: 1h}", "names no connection to ask Checkly with"),
        ("connection: one, reconcile: {evry: 1h}", "did you mean `every`?"),
        ("connection: one, reconcile: {every: often}", "is no duration"),
        ("connection: one, reconcile: {records: {check_alert: {}}}", "did you mean `check_alerts`"),
        ("connection: one, reconcile: {records: {check_alerts: {x: 1}}}", "`x` is not known here"),
    ],
)
def test_a_wrong_account_or_record_is_said(read: Read, wrong: str, said: str) -> None:
    assert said in "\n".join(found[2] for found in faults(read, CHECKED % wrong))


def test_faults_of_workflow_documents_are_among_the_others(read: Read, tmp_path: Path) -> None:
    (tmp_path / "workflows" / "wrong.yaml").write_text(WORKFLOW.replace("alert.open", "alert.opn"))
    with pytest.raises(FaultyConfigurationError) as caught:
        read("workflows: [workflows/*.yaml]\nretentoin: {}\n")
    files = {Path(finding.file).name for finding in caught.value.findings}
    assert files == {"hookwright.yaml", "wrong.yaml"}


def test_one_workflow_name_is_given_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "workflows" / "again.yaml").write_text(WORKFLOW)
    said = faults(read, "workflows: [workflows/*.yaml]\n")
    assert "the workflow `tell`" in said[0][2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sources: [", "this is no YAML"),
        ("sources:\n  - name: a\n    name: b\n", "given twice"),
        ("- a\n", "must hold keys"),
        ("sources: {name: a}\n", "must be a list"),
        ("", "empty"),
    ],
)
def test_a_text_of_another_shape_is_one_fault(read: Read, text: str, words: str) -> None:
    assert words in str(faults(read, text))


def test_a_file_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(tmp_path / "hookwright.yaml", {})
    assert "hookwright init" in str(caught.value.hint)


def test_one_source_is_read_whatever_is_wrong_elsewhere(read: Read, tmp_path: Path) -> None:
    text = "sources: [{name: a, vendor: vibeview, secrets: [{env: A}]}]\nworkflows: [no.yaml]\n"
    faults(read, text, A="secret-of-a")
    path = tmp_path / "hookwright.yaml"
    assert read_source(path, {"A": "secret-of-a"}, "a").secrets == ("secret-of-a",)
    with pytest.raises(FaultyConfigurationError, match="A is not set"):
        read_source(path, {}, "a")
    with pytest.raises(ConfigurationError, match="no source `b`"):
        read_source(path, {"A": "x"}, "b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "sources: [{name: a, vendor: github, secrets: {env: FOO}}]\n",
            "`secrets` must be a list | write a list: `secrets: [{env: NAME}]`",
        ),
        (
            "sources: [{name: BAD NAME, vendor: github, secrets: [{value: x}]}]\n",
            "`name` must begin with a small letter or digit",
        ),
        ("sources: [{name: a\n", "look here and just before"),
        (
            "polls: [{name: p, connection: nothere, poll: credit_balance}]\n",
            "there is no connection `nothere` | no connection is declared yet",
        ),
        (
            "sources: [{name: a, vendor: github, secrets: [{value: x}], limits: {burst: 0}}]\n",
            "`burst` must be more than 0",
        ),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(read: Read, text: str, words: str) -> None:
    said = [sentence for _, _, sentence in faults(read, text)]
    assert any(words in sentence for sentence in said), said
    assert not any("nput should" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sources: {a: 1}\n", "`sources` must be a list"),
        ("- a\n", "the file must hold keys"),
        ("sources: [{name: a, vendor: github, enabled: perhaps, secrets: 1, x: 2}]\n", "`x`"),
    ],
)
def test_one_source_of_a_faulty_file_is_answered_with_its_faults(
    read: Read, tmp_path: Path, text: str, words: str
) -> None:
    faults(read, text)
    with pytest.raises(FaultyConfigurationError, match=words):
        read_source(tmp_path / "hookwright.yaml", {}, "a")


def test_a_file_that_is_named_is_not_meant_by_the_pattern_beside_it(
    read: Read, tmp_path: Path
) -> None:
    (tmp_path / "workflows" / "other.yaml").write_text(WORKFLOW.replace("name: tell", "name: o"))
    declared = read(
        "workflows:\n"
        "  - workflows/*.yaml\n"
        "  - {file: workflows/tell.yaml, vars: {severity: critical}}\n"
    )
    found = {item.document.name: item.vars for item in declared.workflows}
    assert found == {"o": {}, "tell": {"severity": "critical"}}
