"""Fits of simulated hits by the simulation itself: the truth must come back."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipeline.calibrate.fit import fit
from pipeline.calibrate.methods import objective_of
from pipeline.calibrate.progress import Progress
from pipeline.config.methods import Method
from pipeline.config.models import Config
from pipeline.errors import FitError
from pipeline.parameters import CALIBRATED, calibrated
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import PixelObservables, hits_table, observables_of_hits
from pipeline.simulate.setup import forward_model
from pipeline.storage.detector import load_geometry
from pipeline.tables import FitResult, Observables, Segments
from tests.tracks import muons


@cache
def sample(seed: int) -> Segments:
    """About 200 cm of muons in three events."""
    return muons(3, 1, load_geometry("module0"), seed)


def new_model(seed: int = 2) -> PixelObservables:
    return PixelObservables(forward_model(sample(seed), load_geometry("module0"), Config()))


@pytest.fixture(scope="module")
def model() -> PixelObservables:
    return new_model()


def drawn(seed: int) -> dict[str, float]:
    """Parameter values from the ranges that targets are drawn from."""
    rng = np.random.default_rng(seed)
    return {p.name: float(rng.uniform(p.low, p.high)) for p in calibrated()}


def run(model: PixelObservables, data: Observables, method: Method | None = None, **options) -> FitResult:
    method = method or Method()
    settings = {"target": {}, "seed": 1, "extra": {}, **options}
    return fit(objective_of(method, model, data), method, "toy", **settings)


def with_noise(model: PixelObservables, target: dict[str, float], seed: int) -> Observables:
    """Hits with electronics noise, as `gradcal simulate --noise` makes them."""
    simulated = model.model.hits(target, Noise(NoiseLevels(900.0, 500.0), seed))
    geometry = model.model.geometry
    hits = hits_table(simulated, geometry, drift_velocity=0.16, event_t0={}, integer_adc=False)
    return observables_of_hits(hits, geometry)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_target_is_found_from_nominal(model, seed):
    target = drawn(seed)
    result = run(model, model.observe(target))
    assert result.converged
    assert result.iterations <= 30
    worst = max(abs(p.value / target[p.name] - 1) for p in result.parameters)
    assert worst <= 1e-5
    assert result.warnings == ()
    assert result.diagnostics["unmatched_fraction"] == 0


def test_box_model_is_found_too():
    config = Config.model_validate({"detector": {"recombination": "box"}})
    model = PixelObservables(forward_model(sample(2), load_geometry("module0"), config))
    target = {"box_alpha": 0.9, "electric_field": 0.52}
    result = run(model, model.observe(target), Method(free=tuple(target)))
    assert result.converged
    for p in result.parameters:
        if p.free:
            assert p.value == pytest.approx(target[p.name], rel=1e-5)


def test_parameters_of_the_other_recombination_model_are_refused(model):
    with pytest.raises(FitError, match="box_alpha has no effect"):
        run(model, model.observe({}), Method(free=("birks_ab", "box_alpha")))


def test_noisy_target_ends_with_a_verdict_near_the_truth(model):
    """A few hundred hits with noise tell A_B and E well, and diffusion and lifetime roughly."""
    target = drawn(4)
    result = run(model, with_noise(model, target, 1), Method(max_iterations=25))
    assert result.converged == result.status.startswith("Converged")
    assert result.status.startswith(("Converged", "Did not converge", "Not to be trusted"))
    found = {p.name: p.value for p in result.parameters}
    assert found["electric_field"] == pytest.approx(target["electric_field"], rel=3e-3)
    assert found["birks_ab"] == pytest.approx(target["birks_ab"], rel=0.1)
    assert found["transverse_diffusion"] == pytest.approx(target["transverse_diffusion"], rel=0.5)
    assert abs(2200 / found["electron_lifetime"] - 2200 / target["electron_lifetime"]) < 2
    assert result.diagnostics["objective"] > 100


def test_hits_of_other_events_are_refused(model):
    data = model.observe({})
    with pytest.raises(FitError, match="no simulated hit has a partner"):
        run(model, replace(data, event=data.event + 1000))


def test_hits_of_other_tracks_are_not_called_good(model):
    """Other tracks in events of the same numbers: what happens to match is not believed."""
    data = new_model(3).observe({})
    shared = replace(
        data, **{n: np.concatenate([getattr(model.observe({}), n)[:5], getattr(data, n)]) for n in
                 ("event", "channel", "order", "values", "valid")}
    )  # fmt: skip
    result = run(model, shared, Method(free=("birks_ab",), max_iterations=5))
    assert not result.converged
    assert result.diagnostics["unmatched_fraction"] > 0.9


@pytest.mark.parametrize(
    ("free", "initial", "target"),
    [
        (CALIBRATED, {}, {"transverse_diffusion": 1.3e-5, "electric_field": 0.46, "electron_lifetime": 900.0}),
        (("transverse_diffusion", "electron_lifetime"), {"transverse_diffusion": 6e-5}, {}),
        (("shift_x", "electric_field"), {"shift_x": 0.2}, {"shift_x": 0.07}),
    ],
    ids=["table", "wide", "shifted"],
)
def test_going_on_with_a_new_model_ends_the_same_to_the_last_bit(free, initial, target):
    """A resumed fit makes its model anew and must not notice which points the interrupted one had been to."""
    data = new_model().observe(target)
    method = Method(free=free, initial=initial, max_iterations=8)
    seen: list[Progress] = []

    def keep(progress: Progress) -> None:
        seen.append(replace(progress, history={k: list(v) for k, v in progress.history.items()}))

    whole = run(new_model(), data, method, on_iteration=keep)
    for progress in (seen[1], seen[len(seen) // 2], seen[-1]):
        again = run(new_model(), data, method, resume=progress)
        assert replace(again, history={}) == replace(whole, history={})
        for name in whole.history:
            np.testing.assert_array_equal(again.history[name], whole.history[name])
