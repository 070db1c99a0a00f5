"""What the study `reconstruction` draws and prints, from the rows of `track_rows`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..config.performance import ReconstructionPerformance
from ..tables import Bools, Floats, Ints
from .binned import Interval, in_bins, jackknife, peak, quantile, ratio, root_mean_square, wilson
from .track_rows import ParticleRows, Performance, TrackRows

#: Edges of the bins of length [cm] and of numbers of hits.
LENGTHS = (1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0, 200.0)
HITS = (1.0, 3.0, 5.0, 8.0, 11.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0, 1000.0)
#: A bin with fewer rows tells nothing of a median or a width.
_LEAST = 5
#: Fewer segments have no peak.
_MANY = 200
#: Particles that are listed as reconstructed worst.
_WORST = 12


def wanted_particles(settings: ReconstructionPerformance, rows: ParticleRows) -> Bools:
    """`(n,)` particles of the species, long and with enough hits that they should be found."""
    species = np.isin(rows.pdg_id, settings.species)
    return np.asarray(species & (rows.length >= settings.min_length_cm) & (rows.hits >= settings.min_hits))


def wanted_tracks(settings: ReconstructionPerformance, rows: TrackRows) -> Bools:
    """`(n,)` tracks that are as long and have as many hits."""
    return np.asarray((rows.length >= settings.min_length_cm) & (rows.hits >= settings.min_hits))


def share_of(passed: Bools, rows: Bools) -> Interval:
    """Share of the `rows` that passed."""
    return wilson(int((passed & rows).sum()), int(rows.sum()))


def headline(settings: ReconstructionPerformance, rows: Performance) -> list[dict[str, Any]]:
    """Numbers over all particles and tracks that are long enough: `key`, `name`, `unit`, `value` with its interval
    (three None where there is nothing).
    """
    p, t = rows.particles, rows.tracks
    wanted, long = wanted_particles(settings, p), wanted_tracks(settings, t)
    chosen = p.group[wanted & p.found]
    places = np.isin(rows.places.group, chosen)
    near = places & ~rows.places.beyond
    windows, losses = np.isin(rows.windows.group, chosen), np.isin(rows.losses.group, chosen)
    kept = np.isin(rows.hits.group, p.group[wanted])
    found = wanted & p.found
    distance = np.hypot(rows.places.across, rows.places.deep)
    gaps = np.concatenate([p.start_gap[found], p.end_gap[found]])
    offs = np.concatenate([p.start_off[found], p.end_off[found]])
    angles = rows.windows.angle[windows]
    seen = np.isfinite(angles)
    l_, place = rows.losses, rows.places
    one = np.ones(len(place.x))

    def bias(column: Floats) -> Interval | None:
        return ratio(10 * column[near], one[near], place.group[near]) if near.any() else None

    def rms(column: Floats) -> Interval | None:
        return root_mean_square(10 * column[near], place.group[near]) if near.any() else None

    some = losses & (l_.held > 0)
    loss = (l_.measured[some], l_.held[some], l_.group[some])
    whole = (l_.with_knocked[losses], l_.true[losses], l_.group[losses])
    alone = (l_.measured[losses], l_.alone[losses], l_.group[losses])
    rows_of = [
        ("efficiency", "particles found", "", share_of(p.found, wanted) if wanted.any() else None),
        ("purity", "tracks that are the match of a particle", "", share_of(t.main, long) if long.any() else None),
        ("hit_purity", "hits of these tracks that are their particle's", "", _hit_purity(t, long & t.main)),
        ("hits_kept", "hits of particles that are in the matching track", "", _kept(rows, kept)),
        ("distance", "rms distance of true segment centres from the curve", "mm", rms(distance)),
        ("distance_median", "median of this distance", "mm", _median(10 * distance[near])),
        ("distance_95", "95 % of these distances are below", "mm", _median(10 * distance[near], 0.95)),
        ("across", "rms distance in the anode plane", "mm", rms(place.across)),
        ("deep", "rms distance in the plane of track and drift", "mm", rms(place.deep)),
        ("bias_x", "mean shift of the curve in x", "mm", bias(place.x)),
        ("bias_y", "mean shift of the curve in y", "mm", bias(place.y)),
        ("bias_away", "mean shift of the curve away from the anode", "mm", bias(place.away)),
        ("beyond", "true segments past the ends of the curve", "", _share(place.beyond[places])),
        ("angle", f"median angle over {settings.window_cm:g} cm", "mrad", _median(1e3 * angles[seen])),
        ("angle_90", "90 % of these angles are below", "mrad", _median(1e3 * angles[seen], 0.9)),
        ("windows_missed", "pieces of path without a curve beside them", "", _share(~seen)),
        ("dedx", "mean dE/dx of segments over that of what is in the track's hits", "", _ratio(*loss)),
        ("dedx_median", "median of this ratio", "", _median(loss[0] / loss[1])),
        ("dedx_width", "half of the central 68 % of this ratio", "", _width(loss[0] / loss[1])),
        ("dedx_all", "mean dE/dx with what was found beside over that with all knocked out", "", _ratio(*whole)),
        ("dedx_peak", "most probable dE/dx of segments over that of the particle alone", "", _peaks(*alone)),
        ("end_gap", "median overshoot of ends", "mm", _median(10 * gaps)),
        ("end_gap_width", "half of the central 68 % of the overshoot", "mm", _width(10 * gaps)),
        ("end_off", "median distance of ends beside the true ones", "mm", _median(10 * offs)),
        ("charge", "charge of tracks over that of their particles", "", _charge(p, found)),
    ]
    return [
        {"key": key, "name": name, "unit": unit, "value": list(value or (None, None, None))}
        for key, name, unit, value in rows_of
    ]


def _ratio(above: Floats, below: Floats, group: Ints) -> Interval | None:
    return ratio(above, below, group) if len(group) else None


def _median(values: Floats, share: float = 0.5) -> Interval | None:
    return quantile(values, share) if len(values) else None


def _share(passed: Bools) -> Interval | None:
    return wilson(int(passed.sum()), len(passed)) if len(passed) else None


def _width(values: Floats) -> Interval | None:
    """Half of the central 68 %, with the errors of the two quantiles."""
    if len(values) < _LEAST:
        return None
    high, low = quantile(values, 0.84), quantile(values, 0.16)
    half = (high[0] - low[0]) / 2
    error = np.hypot(high[2] - high[1], low[2] - low[1]) / 4
    return half, float(half - error), float(half + error)


def _peaks(above: Floats, below: Floats, group: Ints) -> Interval | None:
    """Most probable value of one over that of the other, with the error of the jackknife over particles."""
    if len(np.unique(group)) < 2 or len(above) < _MANY:
        return None
    return jackknife(lambda rows: peak(above[rows]) / peak(below[rows]), group)


def _hit_purity(t: TrackRows, chosen: Bools) -> Interval | None:
    if not chosen.any():
        return None
    hits = t.hits[chosen].astype(np.float64)
    return ratio(t.purity[chosen] * hits, hits, np.arange(len(hits)))


def _kept(rows: Performance, chosen: Bools) -> Interval | None:
    if not chosen.any():
        return None
    return ratio(rows.hits.kept[chosen].astype(np.float64), np.ones(chosen.sum()), rows.hits.group[chosen])


def _charge(p: ParticleRows, found: Bools) -> Interval | None:
    return ratio(p.charge[found], p.collected[found], p.group[found]) if found.any() else None


def performance_curves(settings: ReconstructionPerformance, rows: Performance) -> dict[str, Any]:
    """Every curve against every quantity, as `in_bins` gives them: `{curve: {"cos_drift" | "drift" | ...: ...}}`."""
    p, t = rows.particles, rows.tracks
    wanted, long = wanted_particles(settings, p), wanted_tracks(settings, t)
    species = np.isin(p.pdg_id, settings.species) & (p.hits > 0)
    edges = _edges(settings, rows)
    curves: dict[str, Any] = {
        "efficiency": {
            "length": _among(p.length, np.array(LENGTHS), species, p.found),
            "hits": _among(p.hits.astype(np.float64), np.array(HITS), species, p.found),
            **{x: _among(getattr(p, x), edges[x], wanted, p.found) for x in edges},
        },
        "purity": {
            "length": _among(t.length, np.array(LENGTHS), np.ones(len(t.main), dtype=bool), t.main),
            "hits": _among(t.hits.astype(np.float64), np.array(HITS), np.ones(len(t.main), dtype=bool), t.main),
            **{x: _among(getattr(t, x), edges[x], long, t.main) for x in edges},
        },
    }
    found = wanted & p.found
    charge, collected, group = p.charge[found], p.collected[found], p.group[found]
    gap = 10 * 0.5 * (p.start_gap + p.end_gap)[found]
    curves["charge"] = {
        x: in_bins(getattr(p, x)[found], edges[x], lambda r: ratio(charge[r], collected[r], group[r])) for x in edges
    }
    curves["end_gap"] = {x: in_bins(getattr(p, x)[found], edges[x], lambda r: quantile(gap[r]), _LEAST) for x in edges}
    return {**curves, **_accuracy_curves(rows, p.group[wanted], p.group[found], edges)}


def _edges(settings: ReconstructionPerformance, rows: Performance) -> dict[str, Floats]:
    """Edges of the bins of cosine, and of drift distance up to the largest one that occurs."""
    farthest = max((float(r.drift.max()) for r in (rows.hits, rows.places, rows.tracks) if len(r.drift)), default=1.0)
    return {
        "cos_drift": np.linspace(0, 1, settings.bins + 1),
        "drift": np.linspace(0, max(farthest, 1e-3), settings.bins + 1),
    }


def _among(x: Floats, edges: Floats, rows: Bools, passed: Bools) -> dict[str, Any]:
    """Share of some `rows` that passed, in bins of `x`."""
    return in_bins(x[rows], edges, lambda r: share_of(passed[rows], r))


def _accuracy_curves(rows: Performance, wanted: Ints, found: Ints, edges: dict[str, Floats]) -> dict[str, Any]:
    """Accuracy of the found particles in bins of the local cosine and drift distance."""
    place, window, loss, hit = rows.places, rows.windows, rows.losses, rows.hits
    near = np.isin(place.group, found) & ~place.beyond
    seen = np.isin(window.group, found) & np.isfinite(window.angle)
    some = np.isin(loss.group, found) & (loss.held > 0)
    whose = np.isin(hit.group, wanted)
    g, one = place.group[near], np.ones(int(near.sum()))
    measured, held = loss.measured[some], loss.held[some]
    knocked, whole = loss.with_knocked[some], loss.true[some]
    gl = loss.group[some]
    kept, gh = hit.kept[whose].astype(np.float64), hit.group[whose]
    angle = 1e3 * window.angle[seen]
    columns = {name: 10 * getattr(place, name)[near] for name in ("across", "deep", "x", "y", "away")}

    def rms_of(values: Floats) -> Callable[[Bools], Interval]:
        return lambda r: root_mean_square(values[r], g[r])

    def mean_of(values: Floats) -> Callable[[Bools], Interval]:
        return lambda r: ratio(values[r], one[r], g[r])

    losses: dict[str, Callable[[Bools], Interval]] = {
        "dedx": lambda r: ratio(measured[r], held[r], gl[r]),
        "dedx_all": lambda r: ratio(knocked[r], whole[r], gl[r]),
        "dedx_median": lambda r: quantile(measured[r] / held[r]),
        "dedx_width": lambda r: _width(measured[r] / held[r]) or (0.0, 0.0, 0.0),
    }
    curves: dict[str, Any] = {}
    for x, bins in edges.items():
        at, of_window, of_loss = getattr(place, x)[near], getattr(window, x)[seen], getattr(loss, x)[some]
        for name in ("across", "deep"):
            curves.setdefault(f"rms_{name}", {})[x] = in_bins(at, bins, rms_of(columns[name]), _LEAST)
        for name in ("x", "y", "away"):
            curves.setdefault(f"bias_{name}", {})[x] = in_bins(at, bins, mean_of(columns[name]), _LEAST)
        curves.setdefault("angle", {})[x] = in_bins(of_window, bins, lambda r: quantile(angle[r]), _LEAST)
        for key, statistic in losses.items():
            curves.setdefault(key, {})[x] = in_bins(of_loss, bins, statistic, _LEAST)
        curves.setdefault("hits_kept", {})[x] = in_bins(
            getattr(hit, x)[whose], bins, lambda r: ratio(kept[r], np.ones(r.sum()), gh[r])
        )
    return curves


def worst(settings: ReconstructionPerformance, rows: Performance) -> list[dict[str, Any]]:
    """The particles that were not found, then those whose curve is farthest from their path."""
    p, place = rows.particles, rows.places
    near = ~place.beyond
    count = np.bincount(place.group[near], minlength=int(p.group.max(initial=0)) + 1)
    square = np.bincount(place.group[near], place.across[near] ** 2 + place.deep[near] ** 2, len(count))
    rms = np.sqrt(square / np.maximum(count, 1))[p.group]
    chosen = np.flatnonzero(wanted_particles(settings, p))
    order = chosen[np.lexsort((-rms[chosen], p.share[chosen] * ~p.found[chosen], p.found[chosen]))][:_WORST]
    return [
        {
            "event_id": int(p.event_id[k]),
            "traj_id": int(p.traj_id[k]),
            "pdg_id": int(p.pdg_id[k]),
            "length_cm": float(p.length[k]),
            "share": float(p.share[k]),
            "purity": float(p.purity[k]),
            "rms_cm": float(rms[k]) if p.found[k] else None,
        }
        for k in order
    ]
