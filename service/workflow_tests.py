"""Test files of workflows with what they need from around: documents, actions, vendors' samples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from schemas.document import Document
from schemas.events import EventDraft
from service.actions import Actions, VendorAction
from service.catalogue import build_catalogue
from service.errors import HookwrightError, Invalid
from service.template_files import TemplateFiles
from service.vendors import BY_NAME, VENDORS, samples
from service.vendors.base import Delivery, Headers, Safety
from service.workflows.document import parse_document
from service.workflows.findings import DocumentError, Finding, did_you_mean
from service.workflows.test_cases import Bench, make_ready
from service.workflows.test_events import WrongGiven
from service.workflows.test_files import ReadTests, read_tests
from service.workflows.test_running import Ran, run_case

SUFFIX = ".test.yaml"
MOST_CASES = 100
MOST_ATTEMPTS = 1000
_ANY_SECRET = "whsec_" + "c2VjcmV0IG9mIGEgc2FtcGxlLCAzMiBieXRlcw=="  # of no account
_ANY_TIME = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class UnreadableFileError(Invalid):
    """The file cannot be read."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What came of one test file. With `findings` nothing of it was run."""

    file: str
    document: str | None = None
    cases: tuple[Ran, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Say whether everything was as expected."""
        return not self.findings and all(case.passed for case in self.cases)


@cache
def bench() -> Bench:
    """Give what there is around a test: the actions of this version, and the vendors' samples."""
    reads = {
        name
        for name, found in Actions(BY_NAME).items()
        if isinstance(found, VendorAction) and found.action.safety is Safety.READ
    }
    return Bench(build_catalogue(), frozenset(reads), recorded)


def recorded(sample: str) -> Sequence[EventDraft]:
    """Give what a vendor's code makes of a recorded delivery (`checksum/run.failed`).

    Raises WrongGiven.
    """
    name, _, wanted = sample.removesuffix(".json").partition("/")
    vendor = BY_NAME.get(name)
    if vendor is None or vendor.incoming is None or not wanted:
        message = f"`{sample}` is no sample" if not wanted else f"there is no vendor `{name}`"
        known = [item.name for item in VENDORS if samples.names(item.name)]
        hint = did_you_mean(name, known) if wanted else "such as checksum/run.failed"
        raise WrongGiven(message, ("sample",), hint)
    known = list(samples.names(name))
    if wanted not in known:
        message = f"{vendor.title} has no sample `{wanted}`"
        raise WrongGiven(message, ("sample",), did_you_mean(wanted, known))
    options = vendor.incoming.options()
    try:
        signed = vendor.incoming.sign(
            samples.read(name, wanted),
            _ANY_SECRET,
            _ANY_TIME,
            options,
            event=samples.event_of(wanted),
            delivery_id="sample",
        )
        headers = Headers([(name.lower(), value) for name, value in signed.headers])
        delivery = Delivery(vendor.name, headers, signed.body, _ANY_TIME)
        return vendor.incoming.normalise(delivery, options)
    except (HookwrightError, ValueError) as error:
        message = f"the sample `{sample}` cannot be read here: {error}"
        raise WrongGiven(message, ("sample",), "write the event out instead") from error


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Give the test files of these files and folders, in order; of a document, those beside it.

    Raises UnreadableFileError for a path that does not exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(sorted(path.rglob(f"*{SUFFIX}")))
        elif not path.exists():
            raise UnreadableFileError(f"there is no file {path}")
        elif path.name.endswith(SUFFIX):
            found[path] = None
        else:
            beside = path.with_name(path.stem + SUFFIX)
            if not beside.exists():
                raise UnreadableFileError(
                    f"{path} has no tests", hint=f"write them into {beside.name} beside it"
                )
            found[beside] = None
    return list(found)


def run_file(path: Path, pattern: str | None = None) -> FileReport:
    """Run a test file. `pattern`: only cases whose names hold this text, case aside."""
    try:
        read = read_tests(_text(path), filename=str(path))
        document, file = _document(path, read)
        return run(document, read, pattern=pattern, document_file=file)
    except DocumentError as error:
        return FileReport(str(path), findings=error.findings)
    except UnreadableFileError as error:
        return FileReport(
            str(path), findings=(Finding(str(path), 1, 1, error.message, error.hint),)
        )


def run_texts(document: str, tests: str) -> FileReport:
    """Run tests that stand in no file, for a document that stands in none. Never raises.

    Others wait meanwhile: there may be MOST_CASES, each of MOST_ATTEMPTS.
    """
    try:
        read = read_tests(tests, filename="tests")
        if len(read.tests.cases) > MOST_CASES:
            place = read.tree.place(("cases", MOST_CASES))
            message = f"at most {MOST_CASES} cases are run here"
            hint = "`hookwright workflow test` runs any number"
            finding = Finding("tests", place.line, place.column, message, hint)
            return FileReport("tests", findings=(finding,))
        parsed = parse_document(
            document, filename="document", catalogue=bench().catalogue, read_template=None
        )
        return run(parsed, read, most_attempts=MOST_ATTEMPTS)
    except DocumentError as error:
        return FileReport("tests", findings=error.findings)


def run(
    document: Document,
    read: ReadTests,
    *,
    pattern: str | None = None,
    document_file: str | None = None,
    most_attempts: int | None = None,
) -> FileReport:
    """Run the cases of a test file. Raises DocumentError."""
    around = bench()
    ready = make_ready(read, document, around)
    chosen = [item for item in ready if _is_meant(item.case.name, pattern)]
    cases = tuple(run_case(document, item, around, most_attempts=most_attempts) for item in chosen)
    return FileReport(read.file, document_file, cases)


def _is_meant(name: str, pattern: str | None) -> bool:
    return pattern is None or pattern.lower() in name.lower()


def _document(path: Path, read: ReadTests) -> tuple[Document, str]:
    named = read.tests.workflow
    file = path.with_name(path.name.removesuffix(SUFFIX) + ".yaml")
    if named is not None:
        file = path.parent / named
    if not file.is_file():
        place = read.tree.place(("workflow",))
        hint = did_you_mean(file.name, _documents_in(file.parent))
        message = f"there is no workflow {file}"
        raise DocumentError([Finding(str(path), place.line, place.column, message, hint)])
    document = parse_document(
        _text(file),
        filename=str(file),
        catalogue=bench().catalogue,
        read_template=TemplateFiles(file, file.parent).read,
    )
    return document, str(file)


def _documents_in(folder: Path) -> Collection[str]:
    if not folder.is_dir():
        return ()
    return [item.name for item in folder.glob("*.yaml") if not item.name.endswith(SUFFIX)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UnreadableFileError(f"{path} cannot be read: {cause}") from error
