"""Units in which hits that were recorded elsewhere may be given, as multiples of ours."""

from __future__ import annotations

#: Elementary charges in a femtocoulomb (e = 1.602176634e-19 C exactly, SI 2019).
_ELECTRONS_PER_FC = 1e-15 / 1.602176634e-19

#: Ours first: cm, us, electrons. A clock tick and a millivolt depend on the detector: None.
LENGTHS: dict[str, float] = {"cm": 1.0, "mm": 0.1, "m": 100.0}
TIMES: dict[str, float | None] = {"us": 1.0, "ns": 1e-3, "ms": 1e3, "s": 1e6, "ticks": None}
CHARGES: dict[str, float] = {"electrons": 1.0, "ke": 1e3, "fC": _ELECTRONS_PER_FC}
#: What the ADC gives, or the voltage at its input, pedestal included.
AMPLITUDES: dict[str, float | None] = {"counts": 1.0, "mV": None}

#: Units of our columns; columns that are not here are numbers without unit.
UNITS: dict[str, tuple[str, ...]] = {
    "x": tuple(LENGTHS),
    "y": tuple(LENGTHS),
    "t": tuple(TIMES),
    "t0": tuple(TIMES),
    "adc": tuple(AMPLITUDES),
    "charge": tuple(CHARGES),
}


def multiple(unit: str, clock: float) -> float:
    """How many of ours one `unit` of length, time or charge is; `clock` [us] is that of the detector's ticks."""
    if unit == "ticks":
        return clock
    found = {**LENGTHS, **TIMES, **CHARGES}[unit]
    assert found is not None
    return found
