"""What README and docs tell people to type or write is true of the code.

Links, make targets, variables and figures are looked at in test_documents.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from schemas.events import EVENT_TYPES, FAMILIES
from service.actions import Actions
from service.catalogue import build_catalogue
from service.cli import main
from service.configuration import read_configuration
from service.settings import Settings
from service.signatures import PRESETS
from service.template_files import TemplateFiles
from service.vendor_facts import action_fact
from service.vendors import BY_NAME, VENDORS, samples
from service.vendors.github.events import EVENTS as GITHUB_EVENTS
from service.workflow_tests import run_file
from service.workflows.document import parse_document
from service.workflows.functions import FUNCTIONS
from service.workflows.test_timeline import case_as_json
from tests.vendors.key_pairs import pair_for, rsa_key

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for package in ("schemas", "service", "workers")
    for path in (ROOT / package).rglob("*.py")
)
ACTIONS = Actions(BY_NAME)
KNOWN = {vendor.name: samples.names(vendor.name) for vendor in VENDORS} | {
    "acme": ("build.failed",)  # made by docs/adding-a-vendor.md
}
OUR_FAMILIES = set(FAMILIES)


class Block(NamedTuple):
    """A fenced block: what it is of, and where it stands."""

    place: str
    language: str
    text: str


def blocks() -> Iterator[Block]:
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(f"{path.relative_to(ROOT)}:{line}", found[1], found[2])


def section(path: str, heading: str) -> str:
    """The text under a heading, up to the next one of its level."""
    text = (ROOT / path).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found


def ticked(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


# --- pages ---------------------------------------------------------------------------------------


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}

    assert pages <= set(re.findall(r"\]\(([a-z-]+\.md)\)", index))


def anchors(path: Path) -> set[str]:
    """The fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_headings_that_are_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", path.read_text(encoding="utf-8"))

    for page, fragment in links:
        target = path.parent / page if page else path
        assert fragment in anchors(target), f"{page}#{fragment}"


# --- commands -----------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line that begins with a word of ours, from blocks and from running text."""
    for block in blocks():
        if block.language in {"", "sh"}:
            lines = block.text.replace("\\\n", " ").splitlines()
            yield from ((block.place, line) for line in lines if line.strip())
    for path in DOCS:
        text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for code in ticked(text):
            if re.match(r"(hookwright|make|python -m) ", code):
                yield str(path.relative_to(ROOT)), code


def words_of(line: str) -> Iterator[list[str]]:
    """The commands of a line: comments, variables, pipes and substitutions taken apart."""
    line = re.sub(r"\s#\s.*", "", line)
    for inner in re.findall(r"\$\((.*?)\)", line):
        yield from words_of(inner)
    line = re.sub(r"\$\(.*?\)", "SUBSTITUTED", line)
    for part in re.split(r"&&|\|\||[|;&]|(?:^|\s)>+\s*\S+", line):
        try:
            words = shlex.split(part)
        except ValueError:
            continue
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            yield words


def cases(first: str) -> list:
    found = {(place, tuple(words)) for place, line in commands() for words in words_of(line)}
    return [
        pytest.param(list(words[1:]), id=f"{place} {' '.join(words)}")
        for place, words in sorted(found)
        if words[0].removeprefix(".venv/bin/") == first
    ]


@pytest.mark.parametrize("arguments", cases("hookwright"))
def test_a_documented_command_can_be_typed(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command, options, choices and the number of arguments; nothing is performed."""
    monkeypatch.chdir(tmp_path)
    for name in arguments:
        if re.fullmatch(r"workflows/[\w-]+\.yaml|FILE", name):  # which the reader writes
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
    command: click.Command = main.hookwright
    context = click.Context(command)
    while isinstance(command, click.Group):
        name = arguments.pop(0) if arguments else "--help"
        if name in {"--help", "--version"}:
            return
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        command, context = found, click.Context(found, parent=context)
    if not arguments:
        return  # the text speaks of the command and does not type it
    command.make_context(command.name, list(arguments), parent=context)
    if command.name == "send" and not arguments[0].isupper():
        assert_sample(*arguments[:2])


def assert_sample(source: str, sample: str) -> None:
    """The sample is one of the source's vendor, or a file."""
    vendor = next((name for name in KNOWN if source.startswith(name)), None)
    assert vendor, f"a source named after its vendor, not {source}"
    assert sample.endswith(".json") or sample in KNOWN[vendor], sample


@pytest.mark.parametrize("arguments", cases("make"))
def test_a_documented_target_can_be_made(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE)

    for word in arguments:
        name, _, value = word.partition("=")
        assert name in targets or re.search(rf"^{name} \?=", makefile, re.MULTILINE), word
        if arguments[0] == "demo" and value:
            assert f'"{value}"' in (ROOT / "examples/demo/__main__.py").read_text(encoding="utf-8")


def test_variables_of_the_environment_that_are_named_exist() -> None:
    known = {f"HOOKWRIGHT_{name.upper()}" for name in Settings.model_fields}
    for path in DOCS:
        named = set(re.findall(r"HOOKWRIGHT_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8")))
        assert named - known - {"HOOKWRIGHT_PUBLISH"} == set(), path


def test_the_backup_is_for_its_owner_alone_and_does_not_collide_with_the_last(
    tmp_path: Path,
) -> None:
    data = tmp_path / ".hookwright"
    data.mkdir()
    (data / "secret.key").touch()
    with closing(sqlite3.connect(data / "hookwright.db")) as database:
        database.execute("CREATE TABLE deliveries (body)")
    (script,) = (block.text for block in blocks() if "VACUUM INTO" in block.text)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for now in ("20261122-120000", "20261122-120001"):
        # The clock of `date` is set, so that the second one need not be waited for.
        asked = f"umask 022; date() {{ test $1 = +%Y%m%d-%H%M%S && echo {now}; }}\n{script}"
        subprocess.run(["sh", "-ec", asked], cwd=tmp_path, env={"PATH": path}, check=True)
    made = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("backup*")}
    assert made == dict.fromkeys(
        ("backup-20261122-120000.db", "backup-20261122-120001.db", "backup.key"), 0o600
    )


# --- YAML ---------------------------------------------------------------------------------------

A_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbA=="
RSA_KEY = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def value_of(variable: str) -> str:
    """A value of the form that the variable's name promises."""
    if "PUBLIC_KEY" in variable or "VERIFICATION_KEY" in variable:
        scheme = next(name for name in PRESETS if name.upper() in variable)
        return pair_for(PRESETS[scheme], A_SECRET).public
    if variable.endswith("_ID"):
        return "123456"
    return A_SECRET


YAML_BLOCKS = [block for block in blocks() if block.language == "yaml"]


def page_of(block: Block) -> str:
    return (ROOT / block.place.partition(":")[0]).read_text(encoding="utf-8")


def write_workflow(folder: Path, name: str, block: Block) -> Path:
    """Write a documented workflow, with the template files that its page says to write."""
    named = r"`workflows/([\w/.-]+\.jinja)`:\n\n```jinja\n(.*?)^```"
    shown = re.findall(named, page_of(block), re.MULTILINE | re.DOTALL)
    for path, text in shown:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    file = folder / f"{name}.yaml"
    file.write_text(block.text, encoding="utf-8")
    return file


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=lambda block: block.place)
def test_documented_yaml_is_accepted(block: Block, tmp_path: Path) -> None:
    """A workflow by the checker with the real catalogue, its tests by being run (they test the
    workflow of that name before them), anything else as a configuration."""
    if re.search(r"^cases:", block.text, re.MULTILINE):
        before = YAML_BLOCKS[: YAML_BLOCKS.index(block)]
        name, document = next(
            (name, other)
            for name in re.findall(r"`([\w-]+)\.test\.yaml` tests", page_of(block))
            for other in reversed(before)
            if f"name: {name}\n" in other.text
        )
        write_workflow(tmp_path, name, document)
        tests = tmp_path / f"{name}.test.yaml"
        tests.write_text(block.text, encoding="utf-8")
        report = run_file(tests)
        assert report.passed, [case_as_json(case) for case in report.cases] or report.findings
        return
    if re.search(r"^steps:", block.text, re.MULTILINE):
        file = write_workflow(tmp_path, "documented", block)
        parse_document(
            block.text,
            filename=block.place,
            catalogue=build_catalogue(),
            read_template=TemplateFiles(file, tmp_path).read,
        )
        return
    shutil.copytree(ROOT / "examples" / "workflows", tmp_path / "workflows")
    file = tmp_path / "hookwright.yaml"
    file.write_text(block.text, encoding="utf-8")
    for name in re.findall(r"\{file: ([\w.-]+)\}", block.text):
        (tmp_path / name).write_text(RSA_KEY if name.endswith(".pem") else A_SECRET)
    names = re.findall(r"env: (\w+)", block.text)

    declared = read_configuration(file, {name: value_of(name) for name in names})

    assert declared.sources or declared.connections or declared.workflows


# --- reference ----------------------------------------------------------------------------------


def rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("| ").split(" | ")]


def test_every_action_is_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "actions.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^### `(.*)`$", page, re.MULTILINE)) == set(ACTIONS)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_takes_and_gives_what_is_documented(name: str) -> None:
    found = ACTIONS[name]
    action = getattr(found, "action", found)
    page = (ROOT / "docs" / "actions.md").read_text(encoding="utf-8")
    text = re.split(r"^##", page.partition(f"\n### `{name}`\n")[2], flags=re.MULTILINE)[0]
    takes, _, gives = text.partition("\nGives:\n")

    first = {cells[0]: cells for cells in rows(takes)}
    needed = {name for name, cells in first.items() if "**needed**" in cells}
    fields = action.params.model_fields
    assert {name.strip("`") for name in first} - {"Name"} == set(fields)
    assert {name.strip("`") for name in needed} == {
        name for name, field in fields.items() if field.is_required()
    }
    assert {cells[0].strip("`") for cells in rows(gives)} - {"Name"} == set(
        action.outputs.model_fields
    )


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_and_all_its_fields_are_explained(name: str) -> None:
    found = ACTIONS[name]
    action = getattr(found, "action", found)

    assert action.summary == " ".join(action.summary.split())
    for model in (action.params, action.outputs):
        bare = [field for field, info in model.model_fields.items() if not info.description]
        assert bare == [], model.__name__


def test_the_words_for_safety_are_explained() -> None:
    explained = re.findall(
        r"^\| \*(.*?)\* \|", section("docs/workflows.md", "Actions"), re.MULTILINE
    )

    assert {action_fact(found).safety for found in ACTIONS.values()} <= set(explained)


def test_event_types_that_are_documented_exist() -> None:
    types = [
        name for cells in rows(section("docs/workflows.md", "Events")) for name in ticked(cells[0])
    ]

    assert {name.partition(".")[0] for name in types} >= OUR_FAMILIES
    for name in types:
        family, _, rest = name.partition(".")
        quoted = f'"{name}"' in SOURCE
        of_slack = family == "slack" and any(rest in text for text in samples.names("slack"))
        assert quoted or of_slack or family in GITHUB_EVENTS, name


def test_every_type_of_our_families_is_documented() -> None:
    ours = {name for name in EVENT_TYPES if name.partition(".")[0] in OUR_FAMILIES}
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")

    assert ours <= set(ticked(section("docs/workflows.md", "Events")))
    assert ours <= set(ticked(page))


def test_polls_functions_and_schemes_are_documented() -> None:
    vendors = (ROOT / "docs" / "vendors.md").read_text(encoding="utf-8")
    polls = {(poll.name, vendor.title) for vendor in VENDORS for poll in vendor.polls}
    table = {
        (name, re.sub(r"\[(.*?)\].*", r"\1", cells[0]))
        for cells in rows(vendors)
        for name in ticked(cells[-1])
    }
    assert table == polls

    functions = ticked(section("docs/workflow-reference.md", "Functions"))
    assert set(FUNCTIONS) <= {form.partition("(")[0] for form in functions}

    schemes = ticked(section("docs/receiving.md", "Senders without a folder of their own"))
    assert set(PRESETS) | {"custom", "none"} <= set(schemes)

    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"(\d+) schemes", text)) <= {str(len(PRESETS))}
        assert set(re.findall(r"(\d+) other (?:ways|schemes)", text)) <= {str(len(PRESETS) - 1)}


def test_logged_events_that_are_documented_exist() -> None:
    logged = [
        name
        for cells in rows(section("docs/operations.md", "Is it well\\?"))
        for name in ticked(cells[0])
        if re.fullmatch(r"[a-z]+(_[a-z]+)+", name)
    ]

    assert logged
    for name in logged:
        assert f'"{name}"' in SOURCE, name


def test_addresses_of_the_api_that_are_documented_exist() -> None:
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        for address in re.findall(r"(?:/api/v1/([a-z.-]+))", text):
            assert f'"/{address}"' in SOURCE or f"/{address}" in SOURCE, (path, address)


# --- pictures, and the page that is followed to the letter --------------------------------------


def test_the_picture_is_what_the_script_draws_of_the_record() -> None:
    folder = ROOT / "docs" / "pictures"
    spec = importlib.util.spec_from_file_location("draw", folder / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    drawn = script.draw(json.loads((folder / "healed-run.json").read_text(encoding="utf-8")))
    picture = (folder / "healed-run.svg").read_text(encoding="utf-8")

    assert drawn == picture
    assert "prefers-color-scheme:dark" in picture
    # Nothing is fetched from elsewhere: the only address is the name of the format.
    assert re.findall(r"https?://[^\"']+|url\(|@import|href", picture) == [
        "http://www.w3.org/2000/svg"
    ]


def written_on_the_page(vendor: str) -> dict[str, str]:
    """The files of a vendor that docs/adding-a-vendor.md says to write."""
    page = (ROOT / "docs" / "adding-a-vendor.md").read_text(encoding="utf-8")
    return dict(
        re.findall(
            rf"^`(service/vendors/{vendor}/\S+)`.*?^```\w+\n(.*?)^```",
            page,
            re.MULTILINE | re.DOTALL,
        )
    )


@pytest.mark.timeout(300)
def test_vendors_are_added_by_following_the_page(tmp_path: Path) -> None:
    """On a copy without them: their files, their two lines, then what every vendor is asked."""
    for part in ("schemas", "service", "tests/vendors"):
        # With the byte code, which says by its times of what it is: what is new is compiled.
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    add_by_the_page(tmp_path, "workos", files=3)
    add_by_the_page(tmp_path, "acme", files=5)

    asked = ("pytest", "-q", "-rp", "-p", "no:cacheprovider", "-k", "workos or acme")
    done = run_in(tmp_path, *asked, "tests/vendors")
    for vendor in ("workos", "acme"):
        passed = re.findall(rf"^PASSED .*\b{vendor}\b.*$", done, re.MULTILINE)
        assert 30 <= len(passed) < 50, done
    folders = ("service/vendors/workos", "service/vendors/acme")
    packages = [part for name in folders for part in ("-p", name.replace("/", "."))]
    assert "no issues found" in run_in(tmp_path, "mypy", "--cache-dir", os.devnull, *packages)
    assert "All checks passed" in run_in(tmp_path, "ruff", "check", *folders)
    assert "already formatted" in run_in(tmp_path, "ruff", "format", "--check", *folders)


def add_by_the_page(tree: Path, vendor: str, *, files: int) -> None:
    """Take the vendor out of a tree if it is there, and add it as the page says."""
    shutil.rmtree(tree / "service" / "vendors" / vendor, ignore_errors=True)
    registry = tree / "service" / "vendors" / "__init__.py"
    text = registry.read_text(encoding="utf-8").replace(f'    "{vendor}",\n', "")
    written = written_on_the_page(vendor)
    assert len(written) == files
    for name, content in written.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    text = text.replace('    "generic",\n', f'    "{vendor}",\n    "generic",\n')
    registry.write_text(text, encoding="utf-8")


def test_the_vendor_that_was_added_by_the_page_is_the_one_that_is_here() -> None:
    for name, content in written_on_the_page("workos").items():
        assert (ROOT / name).read_text(encoding="utf-8") == content, name


def run_in(folder: Path, module: str, *arguments: str) -> str:
    """Run a tool on the copy, which goes before the tree it was copied from."""
    result = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
