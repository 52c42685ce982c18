"""`python -m bench`: every benchmark there is."""

from __future__ import annotations

import sys

from bench.door_vs_handwritten import main

sys.exit(main())
