"""The product's receiver in a process of its own, without workers: `python -m ….door_server`.

Its settings come from the environment; `HOOKWRIGHT_PORT` 0 takes any port. The port is printed when
it takes requests.
"""

from __future__ import annotations

import os
import sys

from service.afterwards import Afterwards
from service.db import Database
from service.log import configure_logging
from service.settings import Settings
from service.web import main as web
from tests.integration.door.receiver import BellBook


class Silent(BellBook):
    """A queue that rings for nobody."""

    def ring(self, _jobs: object) -> None:
        return


def _tell(port: int) -> None:
    os.write(1, b"%d\n" % port)


def main() -> int:
    """Serve until told to stop."""
    settings = Settings()
    configure_logging(settings)
    database = Database(settings.effective_database_url)
    listening = web.listen(settings)
    port = listening.getsockname()[1]
    application = web.make_application(
        settings, database, Silent(), Afterwards(on_failure=sys.exit)
    )
    good = web.serve(application, settings, listening, on_ready=lambda: _tell(port))
    database.dispose()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
