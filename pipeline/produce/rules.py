"""What is followed, and in what steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """`step`: longest step [cm]; `cut`: electrons struck with more [MeV] are particles of their own; `least_photon`:
    bremsstrahlung photons above this [MeV] are; `hadronic`: nuclear interactions happen."""

    step: float = 0.5
    cut: float = 0.273
    least_photon: float = 0.02
    hadronic: bool = True
