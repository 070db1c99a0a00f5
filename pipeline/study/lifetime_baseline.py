"""The electron lifetime from charge per length against drift time: the usual measurement, beside the fit of all hits.

Pieces of tracks of one kind of particle lose the same on average, so that their dQ/dx falls as `exp(-t / tau)` with the
drift time t. Three views of the same deposits tell the errors apart: all charge that pixels collect (deposits and
geometry alone), hits without noise (the threshold has cut), and hits with noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import SelectionError
from ..parameters import CALIBRATED, calibrated
from ..select.cuts import apply_cuts
from ..simulate.model import ForwardModel, SimulatedHits
from ..simulate.observe import PixelObservables, observables_of_simulation
from ..simulate.setup import forward_model
from ..tables import FitResult, Floats, Segments
from .dqdx import Pieces, pieces_of
from .exponential import centres, fit_exponential
from .information import batch_information, relative_uncertainty
from .noisy import fit_noisy, noise_draw

#: Streams of random numbers: noise, order of the events, and samples of a centre.
_NOISE, _EVENTS, _CENTRES = 13, 14, 15
#: Length [cm] of the batches whose information is summed; it changes the memory that is needed, not the sum.
_BATCH = 200.0
#: What dQ/dx is taken from.
VIEWS = ("collected", "hits without noise", "hits with noise")


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Rates of loss (inverse lifetimes) of every target and draw.

    Raises `SelectionError` where the sample has too little track.
    """
    settings = config.study.lifetime_baseline
    parts = list(_parts(config, segments, geometry))
    targets = []
    for number, given in enumerate(settings.targets):
        truth = {p.name: given.get(p.name, p.nominal) for p in calibrated()}
        draws = []
        for draw in range(settings.draws):
            progress(f"target {number + 1} of {len(settings.targets)}, draw {draw + 1} of {settings.draws}")
            part = draw % len(parts)
            draws.append({"part": part, **_draw(config, parts[part], geometry, truth, (number, draw))})
        smallest = _smallest(config, parts[0], geometry, truth)
        targets.append(
            {"values": truth, "smallest": smallest, "draws": draws, "summary": _summary(draws, truth, smallest)}
        )
    return {
        "settings": settings.model_dump(mode="json"),
        "parts_cm": [float(part.length.sum()) for part in parts],
        "threshold_electrons": geometry.readout.threshold,
        "targets": targets,
    }


def table(result: dict[str, Any]) -> str:
    """Mean results of each target as lines of text."""
    lines = []
    for target in result["targets"]:
        tau = target["values"]["electron_lifetime"]
        length = np.mean([d["length_cm"] for d in target["draws"]])
        lines.append(f"true lifetime {tau:g} us; {len(target['draws'])} draws of {length:.0f} cm; errors of 1/tau in %")
        lines.append(f"{'':<44}{'mean':>9}{'spread':>9}{'stated':>9}{'pull':>8}{'shift':>9}")
        for row in target["summary"]:
            numbers = [row["error"], row["spread"], row["stated"]]
            cells = "".join("        -" if n is None else f"{100 * n:>9.1f}" for n in numbers)
            shift = "" if row["shift"] is None else f"{100 * row['shift']:>9.1f}"
            pull = "       -" if row["pull"] is None else f"{row['pull']:>8.1f}"
            lines.append(f"{row['name']:<44}{cells}{pull}{shift}")
    lines.append("pull: mean of (1/tau - truth) / stated; shift: mean difference to what all collected charge gives")
    return "\n".join(lines)


def _parts(config: Config, segments: Segments, geometry: DetectorGeometry) -> Iterator[Segments]:
    """Samples of whole events, up to the configured length each and as many as there are draws, if they suffice.

    Everything in an event stays, as struck electrons lie over the same pixels.
    """
    settings = config.study.lifetime_baseline
    off = ("max_anode_distance_cm", "max_total_length_cm", "min_track_length_cm")
    cuts = config.select.model_copy(
        update={**dict.fromkeys(off), "species": (), "max_abs_cos_drift": settings.max_abs_cos_drift}
    )
    sample = apply_cuts(segments, cuts, geometry, config.seed, "lifetime_baseline").segments
    wanted = np.isin(sample.pdg_id, settings.species)
    events, event = np.unique(sample.event_id, return_inverse=True)
    length = np.bincount(event, sample.length * wanted, len(events))
    if not length.any():
        there = ", ".join(map(str, np.unique(sample.pdg_id)))
        raise SelectionError(
            f"lifetime_baseline: no tracks of study.lifetime_baseline.species are left, only of PDG codes {there}; "
            f"name one of these there, or give another sample."
        )
    order = np.random.default_rng([config.seed, _EVENTS]).permutation(np.flatnonzero(length))
    part = np.full(len(events), -1)
    number, filled = 0, 0.0
    for one in order:
        if filled > 0 and filled + length[one] > settings.length_cm:
            number, filled = number + 1, 0.0
        if number == settings.draws:
            break
        part[one] = number
        filled += length[one]
    else:
        # The last part is as long as the others or not taken, unless there is only one.
        number += filled > 0.9 * settings.length_cm or number == 0
    for chosen in range(number):
        yield sample.take(part[event] == chosen)


def _smallest(config: Config, segments: Segments, geometry: DetectorGeometry, truth: Mapping[str, float]) -> float:
    """Smallest possible uncertainty of the rate [1/us] if all six parameters are free and the deposits known."""
    known = batch_information(config, segments, geometry, truth, CALIBRATED, _BATCH).matrix.sum(axis=0)
    relative = relative_uncertainty(known)[CALIBRATED.index("electron_lifetime")]
    return float(relative / truth["electron_lifetime"])


def _draw(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    truth: Mapping[str, float],
    numbers: tuple[int, int],
) -> dict[str, Any]:
    """One draw: rates by view and estimator, and what a fit of all hits makes of the same data."""
    settings = config.study.lifetime_baseline
    model = forward_model(segments, geometry, config)
    pieces = pieces_of(model, truth, settings.species, settings.piece_cm)
    noisy = model.hits(truth, noise_draw(config, _NOISE, *numbers))
    data, name = observables_of_simulation(noisy, geometry), settings.method
    rng = np.random.default_rng([config.seed, _CENTRES, *numbers])
    views = dict(zip(VIEWS, _views(model, truth, noisy, pieces), strict=True))
    return {
        "length_cm": float(pieces.length.sum()),
        "pieces": len(pieces.length),
        "views": {name: _of_view(config, pieces, dqdx, rng) for name, dqdx in views.items()},
        "fit": None if name is None else _of_fit(fit_noisy(config, PixelObservables(model), data, name, truth, truth)),
    }


def _views(model: ForwardModel, truth: Mapping[str, float], noisy: SimulatedHits, pieces: Pieces) -> Iterator[Floats]:
    """dQ/dx `(n,)` of the pieces, in the order of `VIEWS`."""
    plan = model.plan(truth)
    yield pieces.charge_per_length(plan.event, plan.channel, model.totals(truth))
    for hits in (model.hits(truth), noisy):
        yield pieces.charge_per_length(hits.event, hits.channel, hits.charge)


def _of_view(config: Config, pieces: Pieces, dqdx: Floats, rng: np.random.Generator) -> dict[str, Any]:
    """Centres of dQ/dx in bins of drift time, and the exponential through them, for each estimator."""
    settings = config.study.lifetime_baseline
    edges = np.linspace(0, pieces.time.max() * (1 + 1e-9), settings.bins + 1)
    number = np.clip(np.digitize(pieces.time, edges) - 1, 0, settings.bins - 1)
    # Pieces of which nothing was seen are none to an analysis of hits.
    rows = [np.flatnonzero((number == k) & (dqdx > 0)) for k in range(settings.bins)]
    rows = [r for r in rows if len(r) >= settings.least_pieces]
    if len(rows) < 3:
        raise SelectionError(
            f"lifetime_baseline: only {len(rows)} bins of drift time hold study.lifetime_baseline.least_pieces = "
            f"{settings.least_pieces} pieces of track; raise length_cm, or make fewer bins or shorter pieces there."
        )
    time = np.array([pieces.time[r].mean() for r in rows])
    found = {}
    for estimator in settings.estimators:
        value, uncertainty = centres([dqdx[r] for r in rows], estimator, settings.truncate, rng)
        line = fit_exponential(time, value, uncertainty)
        found[estimator] = {
            "rate": line.rate,
            "uncertainty": line.rate_uncertainty,
            "log_amplitude": line.log_amplitude,
            "chi2": line.chi2,
            "degrees_of_freedom": line.degrees_of_freedom,
            "value": value.tolist(),
            "value_uncertainty": uncertainty.tolist(),
        }
    return {"time": time.tolist(), "pieces": [len(r) for r in rows], "estimators": found}


def _of_fit(result: FitResult | str) -> dict[str, Any] | None:
    """The rate that a fit found, with its uncertainty; None where it did not converge."""
    if isinstance(result, str) or not result.converged:
        return None
    lifetime = next(p for p in result.parameters if p.name == "electron_lifetime")
    known = lifetime.uncertainty
    return {"rate": 1 / lifetime.value, "uncertainty": None if known is None else known / lifetime.value**2}


def _summary(draws: list[dict[str, Any]], truth: Mapping[str, float], smallest: float) -> list[dict[str, Any]]:
    """Relative errors of the rate over the draws, by view and estimator, and of the fit."""
    true = 1 / truth["electron_lifetime"]
    rows = []
    for view in VIEWS:
        for estimator in draws[0]["views"][view]["estimators"]:
            found = [d["views"][view]["estimators"][estimator] for d in draws]
            base = [d["views"]["collected"]["estimators"][estimator]["rate"] for d in draws]
            rate = np.array([f["rate"] for f in found])
            shift = None if view == "collected" else float((rate - base).mean() / true)
            rows.append(_row(f"{estimator}, {view}", rate, [f["uncertainty"] for f in found], true, shift))
    fits = [d["fit"] for d in draws if d["fit"] is not None]
    if fits:
        # A fit that states nothing is held against what could be known.
        stated = [f["uncertainty"] or smallest for f in fits]
        rows.append(_row("fit of all hits", np.array([f["rate"] for f in fits]), stated, true, None))
    nothing = dict.fromkeys(("error", "spread", "pull", "shift"))
    return [*rows, {"name": "smallest possible, deposits known", "stated": smallest / true, **nothing}]


def _row(name: str, rate: Floats, stated: list[float], true: float, shift: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "error": float(rate.mean() / true - 1),
        "spread": float(rate.std(ddof=1) / true) if len(rate) > 1 else None,
        "stated": float(np.mean(stated) / true),
        "pull": float(((rate - true) / np.array(stated)).mean()),
        "shift": shift,
    }
