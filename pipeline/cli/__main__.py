"""`python -m pipeline.cli` is `gradcal`."""

from .main import process

process()
