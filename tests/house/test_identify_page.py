"""What docs/receiving.md shows of `source identify` is what it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner

from schemas.clock import utc_now
from service.cli.main import hookwright
from service.vendors import BY_NAME

PAGE = Path(__file__).parents[2] / "docs" / "receiving.md"
SECRET = "as-displayed-once"


def test_the_answer_that_is_shown_is_the_one_that_is_given(tmp_path: Path) -> None:
    incoming = BY_NAME["vibeview"].incoming
    assert incoming is not None
    options = incoming.options.model_validate({"scheme": "t-v1"})
    signed = incoming.sign(
        b'{"event": "run.failed"}', SECRET, utc_now(), options, event="run.failed", delivery_id="1"
    )
    request = {
        "headers": [[name.lower(), value] for name, value in signed.headers],
        "body": signed.body.decode(),
    }
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")

    file = str(tmp_path / "request.json")
    arguments = ["source", "identify", "--delivery-file", file, "--secret-env", "SECRET"]
    done = CliRunner().invoke(hookwright, arguments, env={"SECRET": SECRET})

    shown = re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown == [done.output.rstrip("\n") + "\n"]
