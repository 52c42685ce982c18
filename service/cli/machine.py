"""Who acts when a command works on the machine itself, past the API."""

from __future__ import annotations

import os
import pwd

from service.tokens import Caller, Role


def this_user() -> Caller:
    """Give the operating system's user as the one who acts. Its environment is not believed."""
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:  # containers run as users that nobody has named
        name = f"uid {user}"
    return Caller(f"command line: {name}", Role.ADMIN, None)
