"""The library that evaluates CEL, without the interactive shell that comes with it.

`import cel` (common-expression-language 0.10) imports its shell too, and with it a library for
terminals: most of what our commands would need to start. An empty module stands in its place while
the library is imported; nothing of the shell is used by the rest of it.
"""

from __future__ import annotations

import sys
from types import ModuleType

__all__ = ["cel"]

_SHELL = "cel.cli"
_is_ours = "cel" not in sys.modules and _SHELL not in sys.modules
if _is_ours:
    sys.modules[_SHELL] = ModuleType(_SHELL)
try:
    import cel
finally:
    if _is_ours:
        del sys.modules[_SHELL]
