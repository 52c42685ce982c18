"""Verifying: is every sealed row there, as it was sealed, and is every seal there and genuine?

Nothing is written and no secret is needed. The database is read as it stood at one moment; what is
held in memory does not grow with its rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.db import Database, Session
from service.errors import Permanent
from service.evidence_chain import Chain
from service.evidence_report import Counted, Finding, Progress, Question, Summary, What
from service.evidence_rows import Rows
from service.store import covered
from service.unit_of_work import reading


def verify(
    database: Database,
    question: Question,
    summary: Summary,
    progress: Progress = lambda _done, _of: None,
) -> Iterator[Finding]:
    """Give everything that is wrong, as it is found, and fill the summary meanwhile.

    Raises Unavailable when the database is away.
    """
    with reading(database) as session:
        covered.hold_still(session)
        for finding in _look(session, question, summary, progress):
            summary.findings[finding.what] = summary.findings.get(finding.what, 0) + 1
            yield finding


def _look(
    session: Session, question: Question, summary: Summary, progress: Progress
) -> Iterator[Finding]:
    try:
        with covered.damage_told():
            chain = Chain(session, question, summary)
            yield from chain.look()
            for table in question.tables:
                summary.tables[table.name] = Counted()
                yield from Rows(session, table, chain, summary, progress).look()
            if question.since is None:
                names = [table.name for table in question.tables]
                for sentence in covered.damages(session, names):
                    yield Finding(What.DAMAGED, sentence)
    except Permanent as error:
        yield Finding(What.DAMAGED, error.message)
