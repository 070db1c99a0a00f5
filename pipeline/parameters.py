"""The table of calibration parameters.

Each parameter is declared beside the physics that it enters (`pipeline.detector`) and registered
here; the config, the fit and the page only read this table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .errors import ConfigError
from .names import nearest


@dataclass(frozen=True)
class Parameter:
    """One calibration parameter.

    `nominal` is the starting value; `low`, `high` is the range that targets are drawn from and that
    a fit comments on when it leaves; `minimum` (exclusive) and `maximum` are physical bounds, the only ones a
    fit respects. `fit_inverse` is true where the fit works in 1/value (the electron lifetime, whose inverse
    the data are linear in and which may be infinite).
    """

    name: str
    symbol: str
    unit: str
    nominal: float
    low: float
    high: float
    description: str
    minimum: float = 0.0
    maximum: float = math.inf
    fit_inverse: bool = False

    def to_internal(self, value: float) -> float:
        """Value in the coordinate that a fit moves in, scaled to 1 at the nominal point."""
        if self.nominal == 0.0:
            return value
        return self.nominal / value if self.fit_inverse else value / self.nominal

    def from_internal(self, internal: float) -> float:
        """Inverse of `to_internal`."""
        if self.nominal == 0.0:
            return internal
        if self.fit_inverse:
            return self.nominal / internal if internal else math.inf
        return internal * self.nominal

    def derivative(self, value: float) -> float:
        """d value / d internal at `value`."""
        if self.nominal == 0.0:
            return 1.0
        return -value * value / self.nominal if self.fit_inverse else self.nominal

    def pull(self, value: float, uncertainty: float, target: float) -> float:
        """(value - target) / uncertainty, as in the coordinate that a fit moves in, where noise is nearly Gaussian."""
        return self.distance(value, target) / uncertainty

    def distance(self, value: float, target: float) -> float:
        """value - target as far as it goes in the coordinate that a fit moves in, carried back by its derivative."""
        return self.derivative(value) * (self.to_internal(value) - self.to_internal(target))


_TABLE: dict[str, Parameter] = {}


def register(parameter: Parameter) -> Parameter:
    """Add a parameter to the table; a name may be declared only once."""
    if parameter.name in _TABLE and _TABLE[parameter.name] != parameter:
        raise ValueError(f"parameter {parameter.name} is declared twice")
    _TABLE[parameter.name] = parameter
    return parameter


def table() -> Mapping[str, Parameter]:
    """All parameters by name, in order of declaration."""
    # The declarations stand beside the physics; importing them fills the table (no torch needed).
    from .detector import argon, geometry  # noqa: F401

    return dict(_TABLE)


def lookup(name: str, where: str) -> Parameter:
    """The parameter called `name`.

    Raises `ConfigError`, naming `where` and the nearest known name, if there is none.
    """
    known = table()
    if name not in known:
        raise ConfigError(f"{where}: there is no parameter {name!r}; did you mean {nearest(name, known)!r}?")
    return known[name]


def check_values(values: Mapping[str, float], where: str) -> dict[str, float]:
    """Check names, finiteness and physical bounds of parameter values given by a user."""
    checked: dict[str, float] = {}
    for name, value in values.items():
        parameter = lookup(name, where)
        infinite = math.isinf(value) and not parameter.fit_inverse
        if infinite or not parameter.minimum < value <= parameter.maximum:
            limit = "" if math.isinf(parameter.maximum) else f" and at most {parameter.maximum:g}"
            raise ConfigError(
                f"{where}: {name} = {value:g} {parameter.unit} is not physical; "
                f"it must be above {parameter.minimum:g}{limit}."
            )
        checked[name] = float(value)
    return checked


def nominal_values() -> dict[str, float]:
    """Nominal value of every parameter."""
    return {p.name: p.nominal for p in table().values()}


def calibrated() -> Iterator[Parameter]:
    """The six parameters of Table I of arXiv:2309.04639, in its order."""
    known = table()
    for name in CALIBRATED:
        yield known[name]


CALIBRATED = (
    "birks_ab",
    "birks_kb",
    "electric_field",
    "electron_lifetime",
    "longitudinal_diffusion",
    "transverse_diffusion",
)
