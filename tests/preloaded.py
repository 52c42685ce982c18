"""Imports the whole product, for the process that forks in tests/commands.py.

Much of it is imported only when it is needed: a vendor when somebody names it, the pages with the
first who asks for one. A fork would do so again each time, most of a second for each installation.
"""

from __future__ import annotations

import importlib
import pkgutil

for package in ("schemas", "service", "workers"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(module.name)
