"""The part of the page that lets a physicist judge the sample: a table of its species, figures, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..inspect import sample_tracks as sample
from ..inspect.sample_tracks import SPECIES, SampleTracks
from ..inspect.track_quantities import IONISING, MARGIN_CM
from ..inspect.track_scattering import PATH_CM
from ..tables import Floats, Segments
from . import sample_figures as figures
from . import words
from .curves import Figure

_CUTS = (
    "These are the selected deposits. Cuts tear tracks, and a track that ends at a cut looks here as if it had ended "
    "inside the detector; `gradcal report --sample` takes the deposits before the cuts."
)
_KNOCK_ON = (
    f"Electrons knocked on with more than about {sample.KNOCK_ON_MEV:g} MeV are tracks of their own, and their energy "
    "is not counted to the particle that hit them"
)


def section(
    segments: Segments,
    geometry: DetectorGeometry,
    start_energy: Floats | None = None,
    *,
    selected: bool = False,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """What the section shows: `rows` of the table, `figures` (name, title, caption, figure), sentences in `notes`.

    `start_energy` `(k,)` [MeV] by track, in the order of `Segments.track_index`, NaN where unknown; `selected` says
    that cuts have been applied, `warnings` what was noticed on reading.
    """
    s = sample.sample_tracks(segments, geometry, start_energy)
    found: list[dict[str, Any]] = []
    missing: list[str] = []
    for name, title, draw, caption, without in _FIGURES:
        figure = draw(s)
        if figure is None:
            missing.append(f"{title}: {without}")
        else:
            found.append({"name": f"figure-sample-{name}", "title": title, "caption": caption(s), "figure": figure})
    notes = ([_CUTS] if selected else []) + [f"On reading: {warning.rstrip('.')}." for warning in warnings]
    return {"rows": _rows(s), "figures": found, "missing": missing, "notes": notes, "margin": f"{MARGIN_CM:g}"}


def _rows(s: SampleTracks) -> list[dict[str, str]]:
    """A row of the table for every species that the sample has."""
    dedx = s.tracks.segments.dE / np.maximum(s.tracks.segments.length, 1e-300)
    rows = []
    for code in s.kinds:
        mine, long = s.kind == code, s.long_deposits(code)
        stop, other = (s.ended(code, stopping=stopping) for stopping in (True, False))
        ratio, angles = s.scattering_ratio(code)
        straight = mine & (s.tracks.path > PATH_CM)
        ionising = code in IONISING
        rows.append(
            {
                "name": SPECIES[code],
                "tracks": words.count(int(mine.sum())),
                "path": words.number(float((s.tracks.path - s.tracks.gaps)[mine].sum()) / 100.0, 3),
                "dedx": words.number(float(np.median(dedx[long])), 3) if long.any() else "–",
                "straight": words.number(float(np.median(s.tracks.straightness[straight])), 4)
                if straight.any()
                else "–",
                "ended": words.count(int((stop | other).sum())) if ionising else "–",
                "stop": words.count(int(stop.sum())) if ionising else "–",
                "energy": words.number(s.energy_ratio(code), 3) if stop.any() else "–",
                "scattering": f"{words.number(ratio, 3)} ± {words.number(0.96 * ratio / np.sqrt(angles), 1)}"
                if angles >= 2 * figures.FEWEST
                else "–",
            }
        )
    return rows


def _loss_caption(s: SampleTracks) -> str:
    length = figures.common_length(s)
    if length is not None:
        energies = "the central 68 % of their energies" if figures.muon_energies(s)[1] else "energies of 0.3 to 10 GeV"
        marked = (
            f"Blue band: the most probable loss of muons in {length:.2g} cm (Landau, Vavilov, Bichsel) over "
            f"{energies}; there the muons should peak. A peak beside it means a wrong unit, length or density."
        )
    elif sample.MUON in s.kinds:
        marked = (
            "No most probable loss is marked: it depends on the length of a deposit, and the lengths of the muons' "
            "deposits differ, or there are few."
        )
    else:
        marked = "There are no muons, so no most probable loss is marked."
    return (
        f"Deposits of {sample.LONG_CM:g} cm and longer. Fast muons, pions and electrons make a narrow peak near "
        f"1.8 MeV/cm with a tail to larger losses; slow protons and kaons lose several times as much. {marked}"
    )


def _residual_caption(s: SampleTracks) -> str:
    return (
        f"Tracks that end more than {MARGIN_CM:g} cm from every face. Lines: Bethe's mean loss of a particle that "
        f"stops after the residual range; squares: mean of the tracks that stop. {_KNOCK_ON}: means lie within the "
        "band below the line, which is invisible where particles are too slow to knock on such electrons. A mean off "
        "its band is a wrong scale of energy or length, or a wrong species. Crosses: tracks whose energy does not fit "
        "their path; hadrons that end in a nuclear interaction and particles that decay in flight lose little up to "
        "their end, so they lie below."
    )


def _angles_caption(s: SampleTracks) -> str:
    known = s.deflected(sample.MUON) & np.isfinite(s.highland)
    how = (
        f"Change of direction of muons over {PATH_CM:g} cm of their path, from the middle of one deposit to the middle "
        "of another, projected on two perpendicular planes. "
    )
    if np.count_nonzero(known) >= figures.FEWEST:
        return how + (
            "Dashed: Gaussians of the widths that Highland's formula gives at the muons' momenta (from the energy at "
            "the start or the residual range). The two should agree to some per cent in the middle; rare hard scatters "
            "make tails that the Gaussians lack. Too narrow: particles go too straight, or are faster than stated."
        )
    unknown = "The file does not tell the muons' momenta, and too few stop, so no expectation is drawn. "
    momentum = figures.equivalent_momentum(s)
    if momentum is None:
        return how + unknown + "No momentum from 20 MeV/c to 1 TeV/c scatters like this: these muons do not scatter."
    rounded = words.count(float(f"{momentum:.3g}"))
    fits = f"Highland's formula has this width at {rounded} MeV/c, which should be about their momentum."
    return how + unknown + fits


def _width_caption(s: SampleTracks) -> str:
    return (
        "Half-width of the central 68 % of the angle, each scaled to the same path, with its statistical uncertainty; "
        "lines: Highland's formula, 13.6 MeV/(pβc) √(x/X₀) (1 + 0.038 ln(x/X₀β²)) with X₀ = 19.55 g/cm² (Review of "
        "Particle Physics), itself good to about a tenth. Points should follow the lines over all momenta. Nuclei "
        "deflect hadrons, too, which the formula leaves out: fast protons scatter up to a third more, and lie above."
    )


def _range_caption(s: SampleTracks) -> str:
    start = figures.energies_of_range(s)[1]
    if start:
        seen = "They scatter about the lines by the straggling of the range, a few per cent."
        otherwise = "short of the range of their energy and so below the line"
    else:
        seen = f"{_KNOCK_ON}, which puts muons and pions up to a tenth to the left of their lines."
        otherwise = "with less energy left than a particle that stops and so left of the line"
    return (
        "Lines: range in the continuous slowing-down approximation. Circles: tracks that end inside with the energy "
        f"that their path asks for. {seen} Crosses: tracks that ended otherwise, by a nuclear interaction or a decay, "
        f"{otherwise}. All circles off their line in the same way, or no circles where particles should stop, are a "
        "wrong scale of energy or length."
    )


#: Name, title, figure, caption, and what is said without one.
_FIGURES: tuple[tuple[str, str, Callable[[SampleTracks], Figure | None], Callable[[SampleTracks], str], str], ...] = (
    (
        "loss",
        "Energy loss by species",
        figures.loss_by_species,
        _loss_caption,
        f"no species has {figures.FEWEST} deposits of {sample.LONG_CM:g} cm.",
    ),
    (
        "residual",
        "Energy loss against residual range",
        figures.loss_by_residual_range,
        _residual_caption,
        "no muon, pion, kaon or proton ends inside the detector.",
    ),
    (
        "angles",
        "Scattering of muons",
        figures.angles,
        _angles_caption,
        f"there are fewer than {figures.FEWEST} stretches of {PATH_CM:g} cm on muons.",
    ),
    (
        "width",
        "Scattering against momentum",
        figures.width_by_momentum,
        _width_caption,
        "too few momenta are known, which takes tracks that stop after a long path, or a file that tells energies.",
    ),
    (
        "range",
        "Range against energy",
        figures.path_by_energy,
        _range_caption,
        "no muon, pion, kaon or proton ends inside the detector.",
    ),
)
