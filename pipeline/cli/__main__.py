"""`python -m pipeline.cli` is `gradcal`."""

import sys

from .main import run

sys.exit(run())
