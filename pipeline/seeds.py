"""Seeds of random numbers, by what they are for."""

from __future__ import annotations

import numpy as np


def seed_of(*numbers: int) -> int:
    """A seed, 0 ... 2**63 - 1, of the numbers (seed of the run, stream, ...) of what it is for: others have another."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
