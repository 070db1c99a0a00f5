"""A value and its uncertainty as physicists write them: two digits of the uncertainty, the value to the same digit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

#: Digits of an uncertainty.
DIGITS = 2
#: Digits of a value whose uncertainty says nothing of them.
PLAIN = 6
#: More digits than float64 holds would be noise.
_MOST = 15
#: Powers of ten between which numbers are written without one.
_PLAIN_POWERS = range(-3, 6)


@dataclass(frozen=True)
class Rounded:
    """Texts of a value and its uncertainty, both to be multiplied by 10**`power`; plain characters only."""

    value: str
    uncertainty: str
    power: int = 0

    def __str__(self) -> str:
        both = f"{self.value} +- {self.uncertainty}"
        return f"({both})e{self.power}" if self.power else both


def rounded(value: float, uncertainty: float, digits: int = PLAIN) -> Rounded:
    """The value with its standard uncertainty, two digits of the latter (the habit of the Particle Data Group and of
    GUM 7.2.6, without the former's exceptions).

    Both in one unit. A value gets `digits` significant digits where the uncertainty is 0, or none (NaN, infinite or
    below 0, which are written as such: nothing is hidden).
    """
    if not math.isfinite(value) or not math.isfinite(uncertainty) or uncertainty <= 0:
        return Rounded(_significant(value, digits), _significant(uncertainty, DIGITS) if uncertainty else "0")
    largest = _power(max(abs(value), uncertainty), DIGITS)
    power = 0 if largest in _PLAIN_POWERS else largest
    value, uncertainty = _over(value, power), _over(uncertainty, power)
    places = DIGITS - 1 - _power(uncertainty, DIGITS)
    if value and places > (most := _MOST - 1 - _power(value, _MOST)):
        return Rounded(_fixed(value, most), f"{uncertainty:.{DIGITS - 1}e}", power)
    return Rounded(_fixed(value, places), _fixed(uncertainty, places), power)


def measured(value: float, uncertainty: float | None, digits: int = PLAIN) -> str:
    """The value with its uncertainty as one text of plain characters; without uncertainty (None) to `digits` digits."""
    return f"{value:.{digits}g}" if uncertainty is None else str(rounded(value, uncertainty, digits))


def _power(value: float, digits: int) -> int:
    """Power of ten of the first digit after rounding to `digits`: 9.96 is 10 to two digits, so it is 1."""
    return int(f"{abs(value):.{digits - 1}e}".partition("e")[2])


def _over(value: float, power: int) -> float:
    # As decimal digits, exactly: 1.5e-9 must not become 1.4999999999999998.
    return float(Decimal(repr(float(value))).scaleb(-power))


def _fixed(value: float, places: int) -> str:
    """With so many decimal places; negative ones round before the point. Nothing is -0."""
    text = f"{round(value, places):.{max(places, 0)}f}"
    return text.lstrip("-") if not text.strip("-0.") else text


def _significant(value: float, digits: int) -> str:
    return f"{value:#.{digits}g}".rstrip(".") if math.isfinite(value) else str(value)
