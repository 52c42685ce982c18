"""How the processes of the tests share them: a module goes to one of them whole.

Except where a module runs on an installation of each kind (`environment` in tests/e2e/conftest.py):
the kinds share nothing, and what they wait for they can wait for at the same time.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no types

_KIND = re.compile(r"\[(one_machine|many_machines)\b")


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # likewise
    """Gives modules away in the order of the collection, those with two kinds of houses by kind."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        kind = _KIND.search(nodeid)
        return f"{module} {kind[1]}" if kind else module
