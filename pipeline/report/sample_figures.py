"""Figures of the sample: energy loss, residual range, scattering and range of its tracks, with what theory expects."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

from ..inspect import sample_tracks as sample
from ..inspect.sample_tracks import SPECIES, SampleTracks, expected_loss, kinetic_of_momentum, momentum
from ..inspect.track_quantities import IONISING
from ..inspect.track_scattering import PATH_CM, half_width, highland_width
from ..matter.particles import mass
from ..matter.ranges import range_table
from ..matter.straggling import most_probable_loss
from ..tables import Bools, Floats, Ints
from .curves import Figure, axis, numbers, plain_ticks

#: One colour per species on all figures; none is red, which means "did not converge".
COLOUR = {13: "#0072b2", 211: "#e69f00", 321: "#8e5aa8", 2212: "#009e73", 11: "#4d4d4d", 0: "#8c6d31"}
#: What is expected is drawn in black where it has no species' colour.
_INK = "#1f2933"
#: Marks on one figure of what stops, and of what ends otherwise.
MOST_MARKS, MOST_OTHERS = 4_000, 1_500
#: Fewer deposits or angles make no histogram, fewer in a bin no mean or width.
FEWEST, FEWEST_OF_BIN = 20, 15
_BINS = 120
#: Kinetic energies [MeV] of muons at the plateau, whose most probable loss is nearly the same.
_FAST = (300.0, 10_000.0)
#: Angles [mrad] below this are rounding: no muon of 1 TeV goes that straight.
_SMALLEST_MRAD = 1e-3
#: Residual ranges [cm] of the expected curves.
_RANGE_CM = (0.1, 300.0)


def loss_by_species(s: SampleTracks) -> Figure | None:
    """Share of deposits against dE/dx, one line per species; None where no species has enough of them."""
    dedx = s.tracks.segments.dE / np.maximum(s.tracks.segments.length, 1e-300)
    drawn = {code: dedx[rows] for code in s.kinds if np.count_nonzero(rows := s.long_deposits(code)) >= FEWEST}
    drawn = {code: values[values > 0] for code, values in drawn.items() if (values > 0).any()}
    if not drawn:
        return None
    everything = np.concatenate(list(drawn.values()))
    # A wrong unit must be seen, not fall off the ends.
    low, high = min(0.5, float(np.quantile(everything, 1e-3))), max(50.0, float(np.quantile(everything, 0.999)))
    edges = np.geomspace(low, high, _BINS + 1)
    data = []
    highest = 0.0
    for code, values in drawn.items():
        share = np.histogram(values, edges)[0] / len(values)
        highest = max(highest, float(share.max()))
        name = f"{SPECIES[code]} ({len(values):,})".replace(",", "\u202f")
        hover = f"{SPECIES[code]}<br>%{{x:.3g}} MeV/cm<br>share %{{y:.3f}}<extra></extra>"
        data.append(_line(name, np.sqrt(edges[1:] * edges[:-1]), share, COLOUR[code], hover, shape="hvh"))
    data += _most_probable(s, highest)
    x = axis("dE/dx [MeV/cm]", type="log", **plain_ticks(low, high))
    return _figure(data, x, axis("share of the deposits per bin", rangemode="tozero"))


def common_length(s: SampleTracks) -> float | None:
    """Length [cm] that nearly all long deposits of muons share; None where they differ or there are few."""
    length = s.tracks.segments.length[s.long_deposits(sample.MUON)]
    if len(length) < FEWEST:
        return None
    low, middle, high = np.quantile(length, (0.1, 0.5, 0.9))
    return float(middle) if high - low < 0.1 * middle else None


def muon_energies(s: SampleTracks) -> tuple[tuple[float, float], bool]:
    """Kinetic energies [MeV] between which the sample's muons mostly are, and whether they are known, not assumed."""
    energy = s.kinetic_energy[s.long_deposits(sample.MUON)]
    known = energy[np.isfinite(energy)]
    if len(known) < FEWEST or 2 * len(known) < len(energy):
        return _FAST, False
    low, high = np.quantile(known, (0.16, 0.84))
    return (float(low), float(high)), True


def _most_probable(s: SampleTracks, height: float) -> list[Figure]:
    """The most probable loss of muons as a band, over the energies of the sample's; nothing where lengths differ."""
    length = common_length(s)
    if length is None:
        return []
    energies = np.geomspace(*muon_energies(s)[0], 50)
    loss = most_probable_loss(energies, np.full(50, length), mass(sample.MUON)) / length
    # A band too thin to be seen is given the width of a line.
    left, right = float(loss.min()) / 1.002, float(loss.max()) * 1.002
    return [
        {
            "type": "scatter", "mode": "lines", "fill": "toself", "fillcolor": "rgba(0,114,178,0.35)",
            "line": {"width": 0}, "name": f"expected most probable of muons, {length:.2g} cm",
            "x": numbers([left, right, right, left], 6), "y": numbers([0, 0, 1.05 * height, 1.05 * height], 5),
            "hoverinfo": "skip",
        }
    ]  # fmt: skip


def loss_by_residual_range(s: SampleTracks) -> Figure | None:
    """dE/dx of tracks that end inside against residual range, with Bethe's formula; None where no track does."""
    codes = [code for code in IONISING if s.fine_deposits(_ended(s, code)).any()]
    if not codes:
        return None
    data = [curve for code in codes for curve in _expected_loss(code)]
    residual, dedx = s.tracks.to_end, s.tracks.segments.dE / np.maximum(s.tracks.segments.length, 1e-300)
    for stopping, most in ((False, MOST_OTHERS), (True, MOST_MARKS)):
        rows = {code: s.fine_deposits(s.ended(code, stopping=stopping)) & (dedx > 0) for code in codes}
        total = sum(int(np.count_nonzero(r)) for r in rows.values())
        for code, mine in rows.items():
            if mine.any():
                at = _thinned(np.flatnonzero(mine), total, most)
                hover = "residual range %{x:.3g} cm<br>%{y:.3g} MeV/cm"
                data.append(_marks(code, residual[at], dedx[at], stopping, hover))
    for code in codes:
        data += _means(s, code)
    x = axis(
        "residual range [cm]", type="log", **plain_ticks(*_RANGE_CM), range=[float(np.log10(v)) for v in _RANGE_CM]
    )
    shown = s.fine_deposits(np.isin(s.kind, codes) & s.inside) & (dedx > 0)
    low, high = min(1.0, float(np.quantile(dedx[shown], 0.005))), max(40.0, float(np.quantile(dedx[shown], 0.995)))
    y = axis("dE/dx [MeV/cm]", type="log", **plain_ticks(low, high), range=[float(np.log10(v)) for v in (low, high)])
    return _figure(data, x, y)


def _ended(s: SampleTracks, code: int) -> Bools:
    return np.asarray(s.ended(code, stopping=True) | s.ended(code, stopping=False))


def _expected_loss(code: int) -> list[Figure]:
    """Bethe's mean loss, and a band below it down to that without knock-on electrons which are tracks of their own."""
    residual = np.geomspace(*_RANGE_CM, 120)
    whole, restricted = expected_loss(code, residual), expected_loss(code, residual, sample.KNOCK_ON_MEV)
    name = f"{SPECIES[code]}, expected"
    hover = f"{name}<br>%{{x:.3g}} cm: %{{y:.3g}} MeV/cm<extra></extra>"
    band = {
        "type": "scatter", "mode": "lines", "fill": "toself", "fillcolor": f"{COLOUR[code]}33", "line": {"width": 0},
        "legendgroup": name, "showlegend": False, "hoverinfo": "skip",
        "x": numbers([*residual, *residual[::-1]], 5), "y": numbers([*whole, *restricted[::-1]], 5),
    }  # fmt: skip
    return [band, {**_line(name, residual, whole, COLOUR[code], hover), "legendgroup": name}]


def _means(s: SampleTracks, code: int) -> list[Figure]:
    """Mean loss, energy over length, of all deposits of stopping tracks in bins of residual range."""
    rows = np.flatnonzero(s.fine_deposits(s.ended(code, stopping=True)))
    edges = np.geomspace(*_RANGE_CM, 22)
    where = np.digitize(s.tracks.to_end[rows], edges) - 1
    x, y = [], []
    for n in range(len(edges) - 1):
        mine = rows[where == n]
        if len(mine) >= FEWEST_OF_BIN:
            length = s.tracks.segments.length[mine]
            x.append(float(np.exp(np.average(np.log(s.tracks.to_end[mine]), weights=length))))
            y.append(float(s.tracks.segments.dE[mine].sum() / length.sum()))
    if not x:
        return []
    return [
        {
            "type": "scatter", "mode": "markers", "name": f"{SPECIES[code]}, mean", "x": numbers(x, 5),
            "y": numbers(y, 5),
            "marker": {"symbol": "square", "size": 9, "color": COLOUR[code], "line": {"width": 1.5, "color": _INK}},
            "hovertemplate": f"mean of {SPECIES[code]}<br>%{{x:.3g}} cm: %{{y:.3g}} MeV/cm<extra></extra>",
        }
    ]  # fmt: skip


def angles(s: SampleTracks) -> Figure | None:
    """Projected angles of muons over a fixed path, with Highland's expectation; None where there are few."""
    mine = s.deflected(sample.MUON)
    known = mine & np.isfinite(s.highland)
    drawn = known if np.count_nonzero(known) >= FEWEST else mine
    if np.count_nonzero(drawn) < FEWEST:
        return None
    values = 1e3 * s.deflections.angle[drawn].ravel()
    width = half_width(values)
    sigma = 1e3 * s.highland[drawn & known]
    end = max(5 * width, 5 * float(np.median(sigma)) if len(sigma) else 0.0, _SMALLEST_MRAD)
    counts, edges = np.histogram(values, 61, (-end, end))
    middle, bin_width = 0.5 * (edges[1:] + edges[:-1]), edges[1] - edges[0]
    hover = "%{x:.3g} mrad: %{y} angles<extra></extra>"
    half = f"{width:.3g}" if width > _SMALLEST_MRAD else f"{_SMALLEST_MRAD:g}"
    name = f"muons, {len(values)} angles, central 68 % within ±{half} mrad"
    data = [_line(name, middle, counts, COLOUR[13], hover, shape="hvh")]
    if len(sigma):
        # The sum of the Gaussians of all angles, each with the width of its own momentum and path.
        fine = np.linspace(-end, end, 241)
        some = sigma[_thinned(np.arange(len(sigma)), len(sigma), 2_000)]
        # In a bin about each place, as angles are counted: fast muons have Gaussians narrower than a bin.
        sides = [ndtr((fine[:, None] + side * bin_width / 2) / some).mean(axis=1) for side in (1, -1)]
        label = f"Highland at their momenta, ±{_half_width_of_gaussians(some):.3g} mrad"
        expected = (sides[0] - sides[1]) * len(values)
        data.append(_line(label, fine, expected, _INK, "Highland: %{y:.3g}<extra></extra>", dash="dash"))
    x = axis(f"projected angle over {PATH_CM:g} cm [mrad]", range=[-end, end])
    return _figure(data, x, axis("angles per bin", rangemode="tozero"))


def _half_width_of_gaussians(sigma: Floats) -> float:
    """Half-width of the central 68 % of numbers from Gaussians about 0, equally many of each width `(m,)`."""
    tried = np.linspace(0.0, float(sigma.max()), 500)
    below = ndtr(tried[:, None] / sigma).mean(axis=1)
    return float(np.interp(ndtr(1.0), below, tried))


def equivalent_momentum(s: SampleTracks) -> float | None:
    """Momentum [MeV/c] at which Highland's formula gives the width of the muons' angles; None where there are few.

    For samples that do not tell the energies of their muons.
    """
    mine = s.deflected(sample.MUON)
    if np.count_nonzero(mine) < FEWEST:
        return None
    width = half_width(s.deflections.angle[mine].ravel())
    tried = np.geomspace(20.0, 1e6, 2000)
    path = np.full(len(tried), float(np.median(s.deflections.path[mine])))
    expected = highland_width(kinetic_of_momentum(tried, sample.MUON), path, mass(sample.MUON))
    return float(np.interp(-width, -expected, tried)) if expected[-1] < width < expected[0] else None


def width_by_momentum(s: SampleTracks) -> Figure | None:
    """Half-width of projected angles against momentum with Highland's curve; None where no momentum is known."""
    data: list[Figure] = []
    span: list[float] = []
    for code in IONISING:
        points = _widths(s, code)
        if not len(points):
            continue
        at, width, error = points.T
        span += [float(at.min()), float(at.max())]
        name = SPECIES[code]
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": name, "x": numbers(at, 5), "y": numbers(width, 4),
                "error_y": {"type": "data", "array": numbers(error, 3), "thickness": 1.5, "width": 3},
                "marker": {"color": COLOUR[code], "size": 8},
                "hovertemplate": f"{name}<br>%{{x:.3g}} MeV/c: %{{y:.3g}} mrad<extra></extra>",
            }
        )  # fmt: skip
    if not data:
        return None
    low, high = 0.6 * min(span), 1.6 * max(span)
    for code in (c for c in IONISING if any(trace["name"] == SPECIES[c] for trace in data)):
        at = np.geomspace(low, high, 80)
        width = 1e3 * highland_width(kinetic_of_momentum(at, code), np.full(80, PATH_CM), mass(code))
        name = f"Highland, {SPECIES[code]}"
        data.append(_line(name, at, width, COLOUR[code], f"{name}<br>%{{x:.3g}}: %{{y:.3g}} mrad<extra></extra>"))
    x = axis("momentum [MeV/c]", type="log", **plain_ticks(low, high), range=[float(np.log10(v)) for v in (low, high)])
    # A curve runs off where momenta of another species are too low for it.
    seen = np.concatenate([np.array(t["y"]) for t in data if t["mode"] == "markers"])
    low_y, high_y = 0.4 * float(seen.min()), 2.5 * float(seen.max())
    if not low_y > 0:
        return _figure(data, x, axis(f"half-width of the angle over {PATH_CM:g} cm [mrad]", rangemode="tozero"))
    y = axis(f"half-width of the angle over {PATH_CM:g} cm [mrad]", type="log", **plain_ticks(low_y, high_y),
             range=[float(np.log10(v)) for v in (low_y, high_y)])  # fmt: skip
    return _figure(data, x, y)


def _widths(s: SampleTracks, code: int) -> Floats:
    """`(bins, 3)` momentum [MeV/c], half-width of the angle [mrad] scaled to the fixed path, and its uncertainty."""
    rows = np.flatnonzero(s.deflected(code) & np.isfinite(s.highland))
    found: list[list[float]] = []
    if len(rows):
        earlier, later = s.deflections.earlier[rows], s.deflections.later[rows]
        kinetic = 0.5 * (s.kinetic_energy[earlier] + s.kinetic_energy[later])
        at = momentum(kinetic, code)
        pulls = s.deflections.angle[rows] / s.highland[rows, None]
        # Six bins in a factor of ten.
        where = np.floor(6 * np.log10(at)).astype(np.int64)
        for n in np.unique(where):
            mine = where == n
            if np.count_nonzero(mine) >= FEWEST_OF_BIN:
                typical = float(np.median(kinetic[mine]))
                scale = 1e3 * float(highland_width(np.array(typical), np.array(PATH_CM), mass(code)))
                width = scale * half_width(pulls[mine].ravel())
                # Of the half-width of n Gaussian numbers: 0.96 of it over the root of n.
                p = float(momentum(np.array(typical), code))
                found.append([p, width, 0.96 * width / np.sqrt(pulls[mine].size)])
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def path_by_energy(s: SampleTracks) -> Figure | None:
    """Path of tracks that end inside against energy, with the range table; None where no track does."""
    energy, _ = energies_of_range(s)
    drawable = (energy > 0) & (s.tracks.path > 0)
    codes = [code for code in IONISING if (_ended(s, code) & drawable).any()]
    if not codes:
        return None
    shown = np.isin(s.kind, codes) & s.inside & (s.tracks.path >= sample.TRACK_CM) & drawable
    ends = 0.7 * float(energy[shown].min()), 1.4 * float(energy[shown].max())
    data: list[Figure] = []
    for code in codes:
        curve = np.geomspace(*ends, 80)
        name = f"{SPECIES[code]}, expected"
        hover = f"{name}<br>%{{x:.3g}} MeV: %{{y:.3g}} cm<extra></extra>"
        data.append(_line(name, curve, range_table(mass(code)).range(curve), COLOUR[code], hover))
    for stopping, most in ((False, MOST_OTHERS), (True, MOST_MARKS)):
        rows = {code: np.flatnonzero(s.ended(code, stopping=stopping) & drawable) for code in codes}
        for code, mine in rows.items():
            if len(mine):
                at = _thinned(mine, sum(map(len, rows.values())), most)
                data.append(_marks(code, energy[at], s.tracks.path[at], stopping, "%{x:.4g} MeV<br>path %{y:.4g} cm"))
    what = "kinetic energy at the start" if energies_of_range(s)[1] else "energy deposited on the track"
    longest = float(s.tracks.path[shown].max())
    y_ends = 0.7 * sample.TRACK_CM, 1.4 * longest
    x = axis(f"{what} [MeV]", type="log", **plain_ticks(*ends), range=[float(np.log10(v)) for v in ends])
    y = axis("path [cm]", type="log", **plain_ticks(*y_ends), range=[float(np.log10(v)) for v in y_ends])
    return _figure(data, x, y)


def energies_of_range(s: SampleTracks) -> tuple[Floats, bool]:
    """`(k,)` energies [MeV] to set against range, and whether they are those at the start, as far as most are known."""
    ended = np.logical_or.reduce([_ended(s, code) for code in IONISING])
    known = ended & np.isfinite(s.start_energy)
    if ended.any() and 2 * np.count_nonzero(known) > np.count_nonzero(ended):
        return np.where(np.isfinite(s.start_energy), s.start_energy, 0.0), True
    return s.tracks.energy, False


def _thinned(rows: Ints, total: int, most: int) -> Ints:
    """Evenly spaced ones of `rows`, their share of at most `most` marks where there are `total` in all."""
    if total <= most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, max(1, len(rows) * most // total)).astype(np.int64)])


def _marks(code: int, x: Floats, y: Floats, stopping: bool, hover: str) -> Figure:
    name = f"{SPECIES[code]} that {'stop' if stopping else 'end otherwise'}"
    # A thin cross is all outline, a disc has none.
    symbol, outline = ("circle", 0.0) if stopping else ("x-thin", 1.2)
    marker = {"symbol": symbol, "size": 5, "color": COLOUR[code], "line": {"width": outline, "color": COLOUR[code]}}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": numbers(x, 4),
        "y": numbers(y, 4),
        "opacity": 0.5,
        "marker": marker,
        "hovertemplate": f"{name}<br>{hover}<extra></extra>",
    }


def _line(name: str, x: Any, y: Any, colour: str, hover: str, *, dash: str = "solid", shape: str = "linear") -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": numbers(x, 5),
        "y": numbers(y, 5),
        "line": {"color": colour, "width": 1.8, "dash": dash, "shape": shape},
        "hovertemplate": hover,
    }


def _figure(data: list[Figure], x: Figure, y: Figure) -> Figure:
    layout = {
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": _INK},
        "xaxis": x,
        "yaxis": y,
        "margin": {"l": 60, "r": 12, "t": 12, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "itemsizing": "constant"},
        "hovermode": "closest",
        "separators": ".\u202f",
    }
    return {"data": data, "layout": layout}
