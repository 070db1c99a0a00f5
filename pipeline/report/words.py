"""Names, units and numbers as a reader sees them (text in the small HTML subset that plotly understands too)."""

from __future__ import annotations

import html
import math
import re
from functools import cache

from markupsafe import Markup

from .. import rounding
from ..matter.particles import name_of
from ..parameters import Parameter, table
from ..tables import FittedParameter

_GREEK = {"tau": "τ", "alpha": "α", "beta": "β", "rho": "ρ", "dx": "Δx", "dy": "Δy", "dz": "Δz"}
_UNITS = {"cm2": "cm²", "cm3": "cm³", "us": "μs"}
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

_NOT_FINITE = {"nan": "not a number", "inf": "∞", "-inf": "−∞"}

#: What the values of hits are called: name and unit.
_HIT_VALUES = {"adc": ("Charge", "ADC"), "t": ("Time", "μs")}

#: Digits after the first that a table shows; the full value stands in the cell's `data-value`.
DIGITS = 6


def symbol(parameter: Parameter) -> str:
    """Typeset symbol, `D_L` as D with a subscript and `tau` as a Greek letter."""
    base, _, index = parameter.symbol.partition("_")
    text = html.escape(_GREEK.get(base, base))
    return f"{text}<sub>{html.escape(index)}</sub>" if index else text


def label(parameter: Parameter) -> str:
    """Name and symbol, e.g. "Electric field E"; a name that ends in its symbol (`birks_ab`) gives "Birks A_B"."""
    words = parameter.name.split("_")
    if parameter.symbol == " ".join(words):
        return html.escape(parameter.symbol.capitalize())
    if words[-1] == parameter.symbol.replace("_", "").lower():
        words = words[:-1]
    name = html.escape(" ".join(words))
    return f"{name[:1].upper()}{name[1:]} {symbol(parameter)}"


def unit(text: str) -> str:
    """Typeset unit, `cm2/us` as cm²/μs."""
    for plain, typeset in _UNITS.items():
        text = text.replace(plain, typeset)
    return html.escape(text)


def display_power(parameter: Parameter) -> int:
    """Power of ten taken out of the numbers of a parameter: 0 but for very small or large nominal values."""
    if parameter.nominal == 0.0 or 1e-3 <= abs(parameter.nominal) < 1e5:
        return 0
    return 3 * math.floor(math.log10(abs(parameter.nominal)) / 3)


def display_unit(parameter: Parameter) -> str:
    """The unit that numbers divided by `10**display_power` stand in."""
    power = display_power(parameter)
    factor = f"10{str(power).translate(_SUPERSCRIPT)}" if power else ""
    return " ".join(part for part in (factor, unit(parameter.unit)) if part)


def label_with_unit(parameter: Parameter) -> str:
    """Axis title and row head: label and unit in brackets (none for a pure number)."""
    in_unit = display_unit(parameter)
    return f"{label(parameter)} [{in_unit}]" if in_unit else label(parameter)


def scaled(parameter: Parameter, value: float) -> float:
    """`value` in `display_unit`."""
    return value / 10.0 ** display_power(parameter)


def number(value: float, digits: int = DIGITS, sign: str = "-") -> str:
    """A number to `digits` significant digits, with a true minus sign and powers of ten written out.

    `sign` is that of format specifications: "+" marks positive numbers too.
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    mantissa, _, exponent = f"{value:{sign}#.{digits}g}".rstrip(".").partition("e")
    if exponent:
        mantissa += f" × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return mantissa.replace("-", "−")


def measured(parameter: Parameter, value: float, uncertainty: float | None) -> str:
    """A value with its standard uncertainty in `display_unit`, "0.8123 ± 0.0034"; alone where there is none (None)."""
    if uncertainty is None or math.isnan(uncertainty):
        return number(scaled(parameter, value))
    shown = rounding.rounded(scaled(parameter, value), scaled(parameter, uncertainty), DIGITS)
    both = " ± ".join(_NOT_FINITE.get(text, text.replace("-", "−")) for text in (shown.value, shown.uncertainty))
    return f"({both}) × 10{str(shown.power).translate(_SUPERSCRIPT)}" if shown.power else both


def relative(fitted: FittedParameter) -> str:
    """The standard uncertainty over the value in percent; empty where it cannot be told."""
    if fitted.uncertainty is None or not fitted.value or not math.isfinite(fitted.uncertainty / fitted.value):
        return ""
    return percent(abs(fitted.uncertainty / fitted.value))


def typeset(text: str) -> Markup:
    """A sentence with the symbols of parameters in it typeset, as far as they cannot be taken for words."""
    return Markup(re.sub(r"[A-Za-z]+_[A-Za-z]+|\btau\b|\bchi2\b", _typeset_symbol, html.escape(text)))


def _typeset_symbol(found: re.Match[str]) -> str:
    if found[0] == "chi2":
        return "χ²"
    return next((symbol(p) for p in table().values() if p.symbol == found[0]), found[0])


def plain(value: float) -> str:
    """A whole number as such, any other to some significant digits."""
    return count(value) if abs(value) < 1e9 and value == round(value) else number(value)


def percent(fraction: float, sign: str = "-") -> str:
    """A relative difference in percent: two significant digits, three from 100 % on, 0 where it is exactly nothing."""
    digits = 2 if abs(fraction) < 0.995 else 3
    return "0 %" if fraction == 0.0 else f"{number(100.0 * fraction, digits, sign)} %"


def count(value: float, thing: str = "") -> str:
    """A whole number with thin spaces between thousands, and the thing counted in singular or plural."""
    text = f"{round(value):,}".replace(",", "\u202f")
    if not thing:
        return text
    return f"{text} {thing}" if round(value) == 1 else f"{text} {thing}s"


def hit_value(name: str) -> tuple[str, str]:
    """Name and unit of a value of hits, e.g. `t` as Time in μs; an unknown one by its own name, without unit."""
    return _HIT_VALUES.get(name, (name.replace("_", " ").capitalize(), ""))


@cache
def species(pdg: int) -> str:
    """Name of a particle by its PDG code, or the code itself where the table has none."""
    return name_of(pdg) or f"PDG {pdg}"
