"""Ionisation and drift in liquid argon.

Pure functions of tensors (or NumPy arrays that have the same methods); units cm, us, MeV, kV/cm, electrons. Nothing
here imports torch, so the parameter table can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from ..parameters import Parameter, register

if TYPE_CHECKING:
    from torch import Tensor

#: Electrons freed per MeV without recombination, 1 MeV / 23.6 eV (Miyajima et al., Phys. Rev. A 9 (1974) 1438).
ELECTRONS_PER_MEV = 1.0e6 / 23.6

#: Temperature [K] of the argon of module 0, at which the mobility is evaluated.
TEMPERATURE = 87.17

BIRKS_AB = register(
    Parameter("birks_ab", "A_B", "", 0.8, 0.78, 0.88, "Birks recombination: overall factor A_B", maximum=10)
)
BIRKS_KB = register(
    Parameter(
        "birks_kb",
        "k_B",
        "(kV/cm)(g/cm2)/MeV",
        0.0486,
        0.04,
        0.07,
        "Birks recombination: quenching constant k_B",
        maximum=10,
    )
)
ELECTRIC_FIELD = register(
    Parameter("electric_field", "E", "kV/cm", 0.5, 0.45, 0.55, "drift field; sets the drift velocity too", maximum=100)
)
ELECTRON_LIFETIME = register(
    Parameter(
        "electron_lifetime",
        "tau",
        "us",
        2200.0,
        500.0,
        5000.0,
        "mean time before a drifting electron is captured",
        fit_inverse=True,
    )
)
LONGITUDINAL_DIFFUSION = register(
    Parameter("longitudinal_diffusion", "D_L", "cm2/us", 4.0e-6, 2e-6, 9e-6, "diffusion along the drift", maximum=1)
)
TRANSVERSE_DIFFUSION = register(
    Parameter("transverse_diffusion", "D_T", "cm2/us", 8.8e-6, 4e-6, 14e-6, "diffusion across the drift", maximum=1)
)
BOX_ALPHA = register(
    Parameter("box_alpha", "alpha", "", 0.93, 0.83, 1.03, "modified box recombination: constant alpha", maximum=10)
)
BOX_BETA = register(
    Parameter(
        "box_beta",
        "beta",
        "(kV/cm)(g/cm2)/MeV",
        0.212,
        0.18,
        0.25,
        "modified box recombination: constant beta",
        maximum=10,
    )
)
DENSITY = register(
    Parameter("density", "rho", "g/cm3", 1.38, 1.36, 1.42, "argon density in the recombination models", maximum=10)
)
DEDX_SCALE = register(
    Parameter(
        "dedx_scale",
        "s_E",
        "",
        1.0,
        0.95,
        1.05,
        "factor on the energy, and so on the dE/dx, of all deposits",
        maximum=10,
    )
)
DRIFT_VELOCITY_SCALE = register(
    Parameter(
        "drift_velocity_scale",
        "s_v",
        "",
        1.0,
        0.98,
        1.02,
        "factor on the drift velocity that follows from the field; free, it takes the velocity from the field",
        maximum=10,
    )
)

Values = Mapping[str, "Tensor"]
Number = TypeVar("Number", "Tensor", float)


def birks(dedx: Tensor, p: Values) -> Tensor:
    """Fraction of the ionisation electrons that escape recombination, Birks' law.

    `R = A_B / (1 + k_B dE/dx / (E rho))`, ICARUS, Nucl. Instrum. Meth. A 523 (2004) 275.
    `dedx` `(n,)` [MeV/cm]; returns `(n,)`.
    """
    return p["birks_ab"] / (1 + p["birks_kb"] * dedx / (p["electric_field"] * p["density"]))


def box(dedx: Tensor, p: Values) -> Tensor:
    """Fraction that escapes recombination, modified box model.

    `xi = beta dE/dx / (E rho)`, `R = max(0, ln(alpha + xi) / xi)`, ArgoNeuT, JINST 8 (2013) P08005.
    `dedx` `(n,)` [MeV/cm], above 0; returns `(n,)`.
    """
    xi = p["box_beta"] * dedx / (p["electric_field"] * p["density"])
    return ((p["box_alpha"] + xi).log() / xi).clamp(min=0.0)


#: Recombination models by the name that the config uses.
RECOMBINATION: dict[str, Callable[[Tensor, Values], Tensor]] = {"birks": birks, "box": box}

_MOBILITY = (551.6, 7158.3, 4440.43, 4.29, 43.63, 0.2053)


def mobility(field: Number, temperature: float = TEMPERATURE) -> Number:
    """Electron mobility [cm2/kV/us] in liquid argon, Li et al., Nucl. Instrum. Meth. A 816 (2016) 160, Eq. 9.

    `field` [kV/cm], above 0, a tensor or a number; `temperature` [K].
    """
    a0, a1, a2, a3, a4, a5 = _MOBILITY
    e15: Number = field * field**0.5
    numerator: Number = a0 + a1 * field + a2 * e15 + a3 * field * e15
    denominator: Number = 1 + (a1 / a0) * field + a4 * field**2 + a5 * field**3
    value: Number = numerator / denominator * ((temperature / 89.0) ** -1.5 / 1000.0)
    return value


def drift_velocity(field: Number, temperature: float = TEMPERATURE) -> Number:
    """Drift velocity [cm/us], `v = mu(E) E`; 0.15965 at 0.5 kV/cm. `field` as in `mobility`."""
    return mobility(field, temperature) * field


def scaled_drift_velocity(p: Mapping[str, Number], temperature: float = TEMPERATURE) -> Number:
    """Drift velocity [cm/us] at parameter values, `s_v mu(E) E`."""
    velocity: Number = drift_velocity(p["electric_field"], temperature) * p["drift_velocity_scale"]
    return velocity


def survival(drift_time: Tensor, p: Values) -> Tensor:
    """Fraction of electrons not captured after `drift_time` [us], `exp(-t / tau)`."""
    return (-drift_time / p["electron_lifetime"]).exp()


def diffusion_width(diffusion: Tensor, time: Tensor) -> Tensor:
    """Gaussian width [cm] after `time` [us] of diffusion with constant `diffusion` [cm2/us], `sqrt(2 D t)`."""
    return (2 * diffusion * time).sqrt()
