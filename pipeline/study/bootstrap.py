"""Is the uncertainty that a fit expects the spread that fits have? A parametric bootstrap, and Minuit beside it.

Data with noise are simulated at the true values and fitted; then data are simulated at the fitted values many times,
each with noise of its own, and fitted from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibrate.bootstrap import Bootstrap, bootstrap
from ..calibrate.fit import fit
from ..calibrate.methods import objective_of
from ..calibrate.objective import Objective
from ..calibrate.priors import Informative, measured_again
from ..calibrate.profile import Profile, profile
from ..config.models import Config, Method
from ..detector.argon import drift_velocity
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError, FitError, ModelRangeError
from ..names import nearest
from ..parameters import nominal_values
from ..select.cuts import Context, max_total_length_cm
from ..simulate.batches import observable_batches
from ..simulate.noise import Noise, NoiseLevels
from ..simulate.observe import PixelObservables, hits_table, observables_of_hits
from ..simulate.setup import forward_model
from ..tables import FitResult, Floats, Observables, Segments, Uncertainty


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """One fit with its expected uncertainty, Minuit's view of it, and the spread of fits to simulated data.

    Raises `ConfigError` for a method that there is not, and `FitError` where the fit itself does not converge.
    """
    settings = config.study.bootstrap
    method = method_of(config, settings.method, "study.bootstrap.method")
    tracks = segments.take(max_total_length_cm(segments, settings.length_cm, Context(geometry, config.seed)))
    if not len(tracks):
        raise ConfigError(
            f"study.bootstrap.length_cm: no track is as short as {settings.length_cm:g} cm; raise the length."
        )
    sample = _Sample(config, PixelObservables(forward_model(tracks, geometry, config)), method)
    truth = {**nominal_values(), **method.fixed, **settings.target}
    data = sample.data(truth, config.seed)
    progress("the fit")
    result = sample.fit(data, method)
    if isinstance(result, str) or not result.converged:
        raise FitError(
            f"bootstrap: the fit itself failed, so there is nothing to look at: "
            f"{result if isinstance(result, str) else result.status}"
        )
    values = {p.name: p.value for p in result.parameters}
    objective = objective_of(method, sample.model, data)
    expected = _expected(objective, values, method)
    progress("Minuit")
    checked = None if expected is None else _profile(objective, values, expected, config)
    spread, refused = _bootstrap(sample, {**truth, **values}, settings.draws, progress)
    return {
        "settings": settings.model_dump(mode="json"),
        "objective": method.objective,
        "length_cm": float(tracks.length.sum()),
        "tracks": int(tracks.track_index().max()) + 1,
        "events": len(np.unique(tracks.event_id)),
        "status": result.status,
        "names": list(method.free),
        "truth": [truth[n] for n in method.free],
        "fitted": [values[n] for n in method.free],
        "expected": None if expected is None else {"kind": expected.kind, **_numbers(expected.covariance)},
        "minuit": None if checked is None else _of_profile(checked),
        "bootstrap": _of_bootstrap(spread),
        "failures": refused,
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text, in units of the standard deviation of the fits."""
    found, minuit, expected = result["bootstrap"], result["minuit"], result["expected"]
    lines = [
        f"{result['settings']['method']}, {result['length_cm']:.0f} cm: {found['fits']} fits, {found['failed']} failed"
    ]
    lines.append(
        f"{'parameter':<24}{'fitted':>13}{'spread':>12}{'expected':>10}{'HESSE':>8}{'MINOS':>16}{'bias':>16}  "
        f"[spreads; known to {1 / np.sqrt(2 * (found['fits'] - 1)):.0%}]"
    )
    for k, name in enumerate(result["names"]):
        unit = found["standard"][k]
        interval = None if minuit is None else minuit["intervals"].get(name)
        minos = (
            "-" if interval is None else "{:+.3f} {:+.3f}".format(*((v - result["fitted"][k]) / unit for v in interval))
        )
        lines.append(
            f"{name:<24}{result['fitted'][k]:>13.6g}{unit:>12.3g}"
            f"{_ratio(expected, k, unit):>10}{_ratio(minuit, k, unit):>8}{minos:>16}"
            f"{found['bias'][k] / unit:>+8.2f} ± {found['bias_error'][k] / unit:<5.2f}"
        )
    if minuit is not None:
        lines.append(f"Minuit: {minuit['evaluations']} evaluations; {'valid' if minuit['valid'] else 'not valid'}")
        lines += minuit["complaints"]
    lines += [f"{count} times: {why}" for why, count in result["failures"].items()]
    return "\n".join(lines)


def method_of(config: Config, name: str, where: str) -> Method:
    """The method called `name`; raises `ConfigError` naming `where` if there is none."""
    known = config.known_methods
    if name not in known:
        raise ConfigError(f"{where}: there is no method {name!r}; did you mean {nearest(name, known)!r}?")
    return known[name]


@dataclass(frozen=True)
class _Sample:
    """Tracks, how data of them are simulated, and how these are fitted."""

    config: Config
    model: PixelObservables
    method: Method

    def data(self, values: Mapping[str, float], seed: int) -> Observables:
        """Data with noise as a file of hits would hold them."""
        forward, readout = self.model.model, self.config.readout
        levels = NoiseLevels(
            readout.noise.reset_electrons, readout.noise.sampling_electrons, readout.noise.discriminator_electrons
        )
        hits = hits_table(
            forward.hits(values, Noise(levels, seed)),
            forward.geometry,
            drift_velocity=drift_velocity(values["electric_field"], forward.geometry.temperature),
            event_t0=forward.plan(values).event_t0,
            integer_adc=readout.integer_adc,
        )
        return observables_of_hits(hits, forward.geometry)

    def fit(self, data: Observables, method: Method) -> FitResult | str:
        """The fit of some data, or the sentence why there is none."""
        length, known = method.batch_length_cm, {**method.fixed, **method.initial}
        parts = observable_batches(self.model.model, data, length, self.config.seed, known) if length else ()
        try:
            return fit(
                objective_of(method, self.model, data),
                method,
                self.config.study.bootstrap.method,
                target={},
                seed=self.config.seed,
                extra={},
                batches=[objective_of(method, *part) for part in parts],
                rounding=float(np.finfo(self.config.simulate.dtype).eps),
            )
        except (FitError, ModelRangeError) as refused:
            return str(refused)


def _expected(objective: Objective, values: Mapping[str, float], method: Method) -> Uncertainty | None:
    """Inverse information, or inverse curvature where the objective does not know its noise; None for losses."""
    names = method.free
    if isinstance(objective, Informative):
        kind, information = "expected information", objective.information(values, names)
    else:
        kind, curvature = "curvature", objective.evaluate(values, names).curvature
        if curvature is None:
            return None
        information = curvature
    scale = np.sqrt(np.diag(information))
    eigenvalues, eigenvectors = np.linalg.eigh(information / np.outer(scale, scale))
    covariance = (eigenvectors / eigenvalues) @ eigenvectors.T / np.outer(scale, scale)
    return Uncertainty(kind, names, covariance, eigenvalues, eigenvectors)


def _profile(objective: Objective, values: Mapping[str, float], expected: Uncertainty, config: Config) -> Profile:
    return profile(objective, values, expected.names, expected, rounding=float(np.finfo(config.simulate.dtype).eps))


def _bootstrap(
    sample: _Sample, values: Mapping[str, float], draws: int, progress: Callable[[str], None]
) -> tuple[Bootstrap, dict[str, int]]:
    """The spread of fits that start where their data were simulated, and how often which fit failed."""
    free = sample.method.free
    method = sample.method.model_copy(update={"initial": {n: values[n] for n in free}, "starts": 1})
    refused: Counter[str] = Counter()
    done = 0

    def refit(seed: int) -> Floats | None:
        nonlocal done
        done += 1
        if done % 10 == 1:
            progress(f"fit {done} of {draws}")
        again = method.model_copy(update={"priors": measured_again(method.priors, values, seed)})
        result = sample.fit(sample.data(values, seed), again)
        if isinstance(result, str) or not result.converged:
            refused[result if isinstance(result, str) else result.status.split(";")[0]] += 1
            return None
        found = {p.name: p.value for p in result.parameters}
        return np.array([found[n] for n in free])

    spread = bootstrap(refit, np.array([values[n] for n in free]), draws, sample.config.seed)
    return spread, dict(refused)


def _numbers(covariance: Floats) -> dict[str, Any]:
    standard = np.sqrt(np.diag(covariance))
    return {"standard": standard.tolist(), "correlation": (covariance / np.outer(standard, standard)).tolist()}


def _of_profile(found: Profile) -> dict[str, Any]:
    return {
        **({"standard": None, "correlation": None} if found.covariance is None else _numbers(found.covariance)),
        "moved": found.moved.tolist(),
        "intervals": {name: list(ends) for name, ends in found.intervals.items()},
        "valid": found.valid,
        "complaints": list(found.complaints),
        "evaluations": found.evaluations,
    }


def _of_bootstrap(found: Bootstrap) -> dict[str, Any]:
    return {
        **_numbers(found.covariance),
        "standard_error": found.standard_error.tolist(),
        "bias": found.bias.tolist(),
        "bias_error": found.bias_error.tolist(),
        "interval": found.interval.tolist(),
        "values": found.values.tolist(),
        "fits": len(found.values),
        "failed": found.failed,
    }


def _ratio(found: Mapping[str, Any] | None, k: int, unit: float) -> str:
    return "-" if found is None or found["standard"] is None else f"{found['standard'][k] / unit:.3f}"
