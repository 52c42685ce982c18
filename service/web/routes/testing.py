"""`/api/v1/workflows/test`: tests of a document that need not be applied. Nothing is kept."""

from __future__ import annotations

from fastapi import APIRouter

from schemas.test_reports import CaseOut, FindingOut, TestReport, TestRequest
from service.web.deps import MayBeRepeated, Operator
from service.workflow_tests import run_texts
from service.workflows.test_timeline import case_as_json

router = APIRouter(prefix="/workflows", tags=["workflows"])


@router.post("/test", dependencies=[MayBeRepeated])
def run_tests(_caller: Operator, request: TestRequest) -> TestReport:
    """Run tests of a workflow document in virtual time. Needs the role operator.

    Nothing is called and nothing is kept; the document need not be applied. At most 100 cases.
    """
    report = run_texts(request.document, request.tests)
    return TestReport(
        passed=report.passed,
        findings=[
            FindingOut.model_validate(finding, from_attributes=True) for finding in report.findings
        ],
        cases=[CaseOut.model_validate(case_as_json(case)) for case in report.cases],
    )
