"""What workflows may ask of GitHub."""

from __future__ import annotations

from service.vendors.github.check_run import CHECK_RUN
from service.vendors.github.commenting import COMMENT
from service.vendors.github.commit_status import COMMIT_STATUS
from service.vendors.github.dispatching import DISPATCH
from service.vendors.github.issuing import ISSUE
from service.vendors.github.looking import FIND_PULL_REQUEST, PULL_REQUEST

ACTIONS = (
    COMMENT,
    FIND_PULL_REQUEST,
    PULL_REQUEST,
    COMMIT_STATUS,
    CHECK_RUN,
    ISSUE,
    DISPATCH,
)
