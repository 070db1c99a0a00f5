"""Ionisation and drift in liquid argon against published numbers, limits and conservation laws."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.detector import argon
from pipeline.parameters import nominal_values

#: Agreement that rounding allows in each precision.
PRECISION = {torch.float32: 2e-6, torch.float64: 1e-13}


def values(dtype: torch.dtype = torch.float64, **changes: float) -> dict[str, Tensor]:
    return {n: torch.tensor(v, dtype=dtype) for n, v in (nominal_values() | changes).items()}


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


# --- ionisation ---


def test_ionisation_yield_is_the_published_one() -> None:
    """W = 23.6 eV: 4.237e4 electrons per MeV."""
    assert pytest.approx(4.237e4, rel=1e-4) == argon.ELECTRONS_PER_MEV


@pytest.mark.parametrize("model", ["birks", "box"])
def test_recombination_of_a_minimum_ionising_particle(model: str) -> None:
    """About 70 % of the electrons escape at 2.1 MeV/cm and 0.5 kV/cm, in the ICARUS and in the ArgoNeuT fit."""
    assert float(argon.RECOMBINATION[model](number(2.1), values())) == pytest.approx(0.70, abs=0.01)


@pytest.mark.parametrize("dedx", [4.0, 8.0, 14.0])
def test_the_two_recombination_models_describe_the_same_argon(dedx: float) -> None:
    """ArgoNeuT compared both on stopping protons at 0.481 kV/cm: they differ by a few per cent up to 15 MeV/cm."""
    fits = [float(model(number(dedx), values(electric_field=0.481))) for model in argon.RECOMBINATION.values()]

    assert fits[0] == pytest.approx(fits[1], rel=0.06)


def test_birks_without_ionisation_density_gives_the_overall_factor() -> None:
    assert float(argon.birks(number(0.0), values())) == 0.8


def test_birks_in_a_strong_field_gives_the_overall_factor() -> None:
    assert float(argon.birks(number(2.1), values(electric_field=1e9))) == pytest.approx(0.8, rel=1e-8)


def test_birks_charge_density_saturates() -> None:
    """dQ/dx = R dE/dx tends to A_B E rho / k_B, however dense the track."""
    dedx = number(1e9)

    assert float(argon.birks(dedx, values()) * dedx) == pytest.approx(0.8 * 0.5 * 1.38 / 0.0486, rel=1e-6)


def test_box_with_alpha_one_is_the_box_model_of_thomas_and_imel() -> None:
    """ln(1 + xi)/xi tends to 1 for sparse tracks and its first correction is -xi/2."""
    dedx = 1e-4
    xi = 0.212 * dedx / (0.5 * 1.38)

    fraction = float(argon.box(number(dedx), values(box_alpha=1.0)))

    assert 1.0 - fraction == pytest.approx(xi / 2.0, rel=1e-4)


def test_box_at_xi_of_e_minus_alpha() -> None:
    """There ln(alpha + xi) = 1, so R = 1/(e - alpha)."""
    dedx = (np.e - 0.93) * 0.5 * 1.38 / 0.212

    assert float(argon.box(number(dedx), values())) == pytest.approx(1.0 / (np.e - 0.93), rel=1e-12)


def test_box_is_never_negative() -> None:
    """With alpha < 1 the logarithm changes sign at xi = 1 - alpha; below, nothing escapes."""
    dedx = torch.linspace(1e-3, 0.5, 200, dtype=torch.float64)

    fraction = argon.box(dedx, values())

    xi = 0.212 * dedx / (0.5 * 1.38)
    assert torch.equal(fraction == 0.0, xi <= 1.0 - 0.93)
    assert bool((fraction >= 0.0).all())


@pytest.mark.parametrize("model", ["birks", "box"])
def test_denser_tracks_and_weaker_fields_recombine_more(model: str) -> None:
    """From minimum ionisation up; the modified box turns over below, an artefact of alpha < 1."""
    recombination = argon.RECOMBINATION[model]
    dedx = torch.linspace(2.1, 40.0, 100, dtype=torch.float64)

    strong, weak = recombination(dedx, values(electric_field=0.55)), recombination(dedx, values(electric_field=0.45))

    assert bool((strong.diff() < 0).all())
    assert bool((strong > weak).all())


@pytest.mark.parametrize("model", ["birks", "box"])
def test_recombination_depends_on_field_times_density_only(model: str) -> None:
    recombination, dedx = argon.RECOMBINATION[model], number(5.0)

    one = recombination(dedx, values(electric_field=0.5, density=1.38))
    other = recombination(dedx, values(electric_field=1.0, density=0.69))

    assert float(one) == pytest.approx(float(other), rel=1e-14)


# --- drift ---


def test_velocity_at_the_nominal_field() -> None:
    """0.15965 cm/us at 0.5 kV/cm and 87.17 K (Li et al.)."""
    assert float(argon.drift_velocity(number(0.5))) == pytest.approx(0.15965, abs=5e-6)


def test_velocity_grows_as_the_root_of_the_field() -> None:
    """d ln v / d ln E = 0.50 at 0.5 kV/cm, by automatic differentiation."""
    field = number(0.5).requires_grad_()

    (slope,) = torch.autograd.grad(argon.drift_velocity(field).log(), field)

    assert float(slope) * 0.5 == pytest.approx(0.50, abs=0.005)


def test_velocity_of_another_experiment() -> None:
    """MicroBooNE: 2.56 m in 2.3 ms at 0.273 kV/cm and 89 K (JINST 12 (2017) P02017), two digits."""
    assert float(argon.drift_velocity(number(0.273), 89.0)) == pytest.approx(256.0 / 2300.0, rel=0.02)


def test_mobility_of_electrons_at_rest_with_the_argon() -> None:
    """The zero-field mobility at 89 K is 551.6 cm2/(V s); it falls as T^-3/2."""
    assert float(argon.mobility(number(1e-12), 89.0)) == pytest.approx(551.6e-3, rel=1e-9)
    assert float(argon.mobility(number(1e-12), 4 * 89.0)) == pytest.approx(551.6e-3 / 8.0, rel=1e-9)


def test_velocity_rises_with_the_field_over_the_range_of_detectors() -> None:
    velocity = argon.drift_velocity(torch.linspace(0.05, 1.5, 300, dtype=torch.float64))

    assert bool((velocity.diff() > 0).all())


def test_survival_is_memoryless() -> None:
    """Surviving t1 + t2 is surviving t1, then t2; 1/e is left after one lifetime."""
    p = values()
    one, two = number(37.0), number(141.0)

    assert float(argon.survival(one + two, p)) == pytest.approx(
        float(argon.survival(one, p) * argon.survival(two, p)), rel=1e-14
    )
    assert float(argon.survival(number(2200.0), p)) == pytest.approx(np.exp(-1.0), rel=1e-14)


def test_nothing_is_lost_with_an_infinite_lifetime_or_without_drift() -> None:
    drift = torch.tensor([0.0, 10.0, 189.6], dtype=torch.float64)

    assert torch.equal(argon.survival(drift, values(electron_lifetime=float("inf"))), torch.ones_like(drift))
    assert float(argon.survival(number(0.0), values())) == 1.0


def test_diffusion_width_solves_the_diffusion_equation() -> None:
    """A Gaussian of that width obeys dn/dt = D d2n/dx2 (central differences)."""
    diffusion, time, x = 4.0e-6, 120.0, np.linspace(-0.1, 0.1, 21)
    dt, dx = 0.05, 2e-4

    def density(at: np.ndarray, t: float) -> np.ndarray:
        width = float(argon.diffusion_width(number(diffusion), number(t)))
        return np.asarray(np.exp(-0.5 * (at / width) ** 2) / (width * np.sqrt(2.0 * np.pi)))

    change = (density(x, time + dt) - density(x, time - dt)) / (2 * dt)
    curvature = (density(x + dx, time) - 2 * density(x, time) + density(x - dx, time)) / dx**2

    np.testing.assert_allclose(change, diffusion * curvature, rtol=0, atol=1e-4 * np.abs(change).max())


def test_longitudinal_width_after_the_whole_drift_of_module_0() -> None:
    """4.0 cm2/s over 30.27 cm at 0.5 kV/cm: 0.39 mm."""
    time = 30.27225 / argon.drift_velocity(number(0.5))

    assert float(argon.diffusion_width(number(4.0e-6), time)) == pytest.approx(0.039, abs=5e-4)


# --- precision and derivatives ---

DEDX = (0.9, 2.1, 6.0, 25.0)

CASES: dict[str, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    "birks": (argon.birks, ("birks_ab", "birks_kb", "electric_field", "density")),
    "box": (argon.box, ("box_alpha", "box_beta", "electric_field", "density")),
    "survival": (argon.survival, ("electron_lifetime",)),
    "drift_velocity": (lambda x, p: argon.drift_velocity(p["electric_field"] + 0 * x), ("electric_field",)),
    "diffusion_width": (
        lambda x, p: argon.diffusion_width(1e6 * p["transverse_diffusion"], x),
        ("transverse_diffusion",),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_function_keeps_its_precision(name: str) -> None:
    """Results have the precision of the input and agree between precisions as rounding allows."""
    function, _ = CASES[name]
    exact = function(torch.tensor(DEDX, dtype=torch.float64), values(torch.float64))

    for dtype, tolerance in PRECISION.items():
        result = function(torch.tensor(DEDX, dtype=dtype), values(dtype))
        assert result.dtype == dtype
        np.testing.assert_allclose(result.double().numpy(), exact.numpy(), rtol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_every_derivative_is_that_of_finite_differences(name: str) -> None:
    """First derivatives with respect to the argument and to every parameter that enters."""
    function, parameters = CASES[name]
    nominal = values()

    # Parameters are scaled to 1 so that one step of the finite differences suits all.
    def scaled(x: Tensor, *factors: Tensor) -> Tensor:
        return function(x, nominal | {n: nominal[n] * f for n, f in zip(parameters, factors)})

    x = torch.tensor(DEDX, dtype=torch.float64, requires_grad=True)
    factors = [torch.ones((), dtype=torch.float64, requires_grad=True) for _ in parameters]

    assert torch.autograd.gradcheck(scaled, (x, *factors), eps=1e-6, atol=1e-9, rtol=1e-6)
