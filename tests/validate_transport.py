"""Slow evidence on the transport of particles: Geant4's muons and protons against ours (`python -m tests.validate`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path

import numpy as np

from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.produce.flight import World
from pipeline.produce.joining import RAW, Joining
from pipeline.produce.rules import Rules
from pipeline.produce.transport import transport
from pipeline.tables import Floats, Primaries
from tests.produce import geant4

#: Name, value, most: the value in words; a miss is remembered.
Limit = Callable[[str, float, float], str]

#: Mean range of 1 GeV muons [cm]: tables of Groom et al. (2001).
PUBLISHED_MUON_RANGE = 616.3 / 1.396


def losses(data: Path, limit: Limit) -> None:
    """dE/dx of 1 GeV muons over fixed lengths, in both halves of Geant4's events."""
    for final, theirs in enumerate(geant4.halves(geant4.geant4(data / "g4_muon_1gev_100ev.h5"), 100)):
        mine = geant4.ours(theirs, geant4.MUON, 1000.0, 10, 1)
        print(f"{_half(final)}: {theirs.species(13).length.sum() / 100:.1f} m of muon")
        print("  length [cm]  quantity             Geant4 [MeV/cm]     ours  ratio - 1 (limit)      error")
        for length in (1.0, 3.0, 10.0):
            a, b = (geant4.fixed_segments(s.species(13), length) for s in (theirs, mine))
            for what, statistic, most in _statistics():
                value, error = geant4.with_error(statistic, a)
                off = abs(statistic(b) / value - 1)
                shown = limit(f"{what} of dE/dx over {length} cm", off, most) if final else f"{off:.4g}"
                print(f"  {length:11.0f}  {what:20} {value:15.4f} {statistic(b):8.4f}  {shown:20} {error / value:7.4f}")


def _statistics() -> list[tuple[str, Callable[[Floats], float], float]]:
    def level(q: int) -> Callable[[Floats], float]:
        return lambda values: float(np.quantile(values, q / 100))

    quantiles = [(f"{q} % quantile", level(q), 0.02) for q in (5, 25, 50, 75, 95)]
    return [
        ("most probable", geant4.most_probable, 0.005),
        ("mean of lowest 70 %", geant4.truncated_mean, 0.005),
        *quantiles,
    ]


def _half(final: int) -> str:
    return "second half (final)" if final else "first half"


def electrons(data: Path, limit: Limit) -> None:
    """Electrons struck by 1 GeV muons, by the energy that they leave, in both halves of Geant4's events."""
    print("half                 above [MeV]  per metre: Geant4    ours   ratio   error      MeV: Geant4   ours   ratio")
    for final, theirs in enumerate(geant4.halves(geant4.geant4(data / "g4_muon_1gev_100ev.h5"), 100)):
        mine = geant4.ours(theirs, geant4.MUON, 1000.0, 10, 1)
        for least in (0.3, 0.5, 1.0, 3.0):
            (n, e, error), (m, f, _) = (geant4.struck_electrons(s, least) for s in (theirs, mine))
            print(
                f"{_half(final):20} {least:11.1f} {n:18.3f} {m:7.3f} {m / n:7.3f} {error:7.3f}"
                f" {e:22.2f} {f:7.2f} {f / e:7.3f}"
            )
            if final and least == 1.0:
                limit("number of electrons above 1 MeV", abs(m / n - 1), 0.10)
                limit("energy of electrons above 1 MeV", abs(f / e - 1), 0.10)


def scattering(data: Path, limit: Limit) -> None:
    """Scattering of 1 GeV muons; nothing was chosen with these, so the limit is on the whole file."""
    everything = geant4.geant4(data / "g4_muon_1gev_100ev.h5")
    first, second = geant4.halves(everything, 100)
    print("events       over [cm]  half of 68 % [mrad]: Geant4    ours   ratio   error  beyond 3 of it: Geant4    ours")
    for name, theirs in (("first half", first), ("second half", second), ("all", everything)):
        for length in (2.0, 5.0, 10.0, 20.0):
            a, b = geant4.scattering_angles(theirs.species(13), length)
            wide, ratio = geant4.half_width(a), geant4.half_width(b) / geant4.half_width(a)
            # Pairs overlap, so that about every step counts once for each length that it lies in.
            error = 1.05 / np.sqrt(min(len(a), 2 * theirs.species(13).length.sum() / length))
            tails = [float(np.mean(np.abs(x) > 3 * wide)) for x in (a, b)]
            print(
                f"{name:12} {length:9.0f} {1e3 * wide:28.3f} {1e3 * geant4.half_width(b):7.3f} {ratio:7.3f}"
                f" {error:7.3f} {tails[0]:23.4f} {tails[1]:7.4f}"
            )
            if name == "all" and length == 10:
                limit("width of scattering over 10 cm", abs(ratio - 1), 0.05)


def protons(data: Path, limit: Limit) -> None:
    """dE/dx against residual range of stopping protons, in both halves of Geant4's events."""
    edges = np.array([0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0, 25.0, 30.0])
    for final, theirs in enumerate(geant4.halves(geant4.geant4(data / "g4_stopping_proton_150ev.h5"), 150)):
        mine = geant4.ours(theirs, geant4.PROTON, (100.0, 300.0), 10, 2)
        a, b = (geant4.stopping_loss(s, edges) for s in (theirs, mine))
        print(f"{_half(final)}; share of primaries that stop: Geant4 {a[2]:.3f}, ours {b[2]:.3f}")
        print("  residual range [cm]  dE/dx over Bethe's mean: Geant4    ours  ratio - 1 (limit)      error")
        for k in range(len(edges) - 1):
            off = abs(b[0][k] / a[0][k] - 1)
            most = 0.02 if edges[k] >= 1 else 0.05
            where = f"{edges[k]:g} to {edges[k + 1]:g}"
            shown = limit(f"proton dE/dx at {where} cm", off, most) if final else f"{off:.4g}"
            print(f"  {where:19} {a[0][k]:32.4f} {b[0][k]:7.4f}  {shown:20} {a[1][k]:7.4f}")


def information(data: Path, limit: Limit) -> None:
    """What 10 m of track tell of the six parameters: Gauss-Newton covariance of 1 ADC count and 0.1 us per hit.

    First muons without the electrons that they strike, in raw steps; then all tracks, ours joined to deposits, since
    electrons twist and what matters is over which length their dE/dx is taken. Five samples of ours of the same size as
    Geant4's, whose halves show how far samples of this size differ by chance.
    """
    everything = geant4.geant4(data / "g4_muon_1gev_100ev.h5")
    _information("muons", everything.species(13), RAW, limit)
    print()
    _information("all tracks", everything, Joining(), None)


def _information(what: str, theirs: geant4.Steps, joining: Joining, limit: Limit | None) -> None:
    names = ["A_B", "k_B", "E", "tau", "D_L", "D_T"]
    print(f"{what:17} length [cm]   " + "".join(f"{name:>9}" for name in names))

    def line(name: str, values: Floats, length: float) -> None:
        print(f"{name:17} {length:11.0f}   " + "".join(f"{value:9.3g}" for value in values))

    reference, length = geant4.expected_uncertainty(geant4.as_segments(theirs))
    line("Geant4, %", 100 * reference, length)
    for final, half in enumerate(geant4.halves(theirs, 100)):
        values, length = geant4.expected_uncertainty(geant4.as_segments(half))
        line(f"{'second' if final else 'first'} half / all", values / reference, length)
    ratios = []
    for seed in range(5):
        mine = geant4.ours(theirs, geant4.MUON, 1000.0, 1, 10 + seed, joining)
        mine = mine if limit is None else mine.species(13)
        values, length = geant4.expected_uncertainty(geant4.as_segments(mine))
        ratios.append(values / reference)
        line(f"ours {seed + 1} / Geant4", ratios[-1], length)
    mean = np.mean(ratios, axis=0)
    line("mean", mean, length)
    if limit is not None:
        for name, ratio in zip(names, mean):
            limit(f"uncertainty of {name} from our {what} over Geant4's, less 1", abs(ratio - 1), 0.10)


def ranges(data: Path, limit: Limit) -> None:
    """Mean ranges in argon without end, without nuclear interactions, beside that of continuous slowing down (CSDA)."""
    print(
        "particle        mean range [cm]     sd    1 % and 99 %     CSDA  reference                     off by (limit)"
    )
    cases = (
        (-13, 1000.0, 2000, PUBLISHED_MUON_RANGE, "tables 441.5; Geant4 398-465"),
        (2212, 300.0, 4000, 51.3, "Geant4 50.9-51.7"),
    )
    for code, kinetic, n, reference, what in cases:
        start = Primaries(
            np.arange(n),
            np.zeros(n, dtype=np.int64),
            np.full(n, code),
            np.zeros((n, 3)),
            np.tile([0.0, 0.0, 1.0], (n, 1)),
            np.full(n, kinetic),
            np.zeros(n),
        )
        rules = Rules(step=1.0, hadronic=False)
        found = transport(start, World.unbounded(), rules, RAW, np.random.default_rng(3)).trajectories
        path = found.path[found.parent_id < 0]
        low, high = np.quantile(path, [0.01, 0.99])
        csda = float(range_table(mass(abs(code))).range(np.array(kinetic)))
        off = limit(f"mean range of {code}", abs(path.mean() / reference - 1), 0.01)
        print(
            f"{code:5} {kinetic:5.0f} MeV {path.mean():18.2f} {path.std():7.2f}  {low:6.1f} {high:6.1f} {csda:10.2f}"
            f"  {what:28}  {off}"
        )


TABLES = (losses, electrons, scattering, protons, ranges, information)


def all_tables(data: Path, limit: Limit) -> None:
    """All of the above, one after the other."""
    for table in TABLES:
        start = time.monotonic()
        print(f"{cleandoc(table.__doc__ or '')}\n")
        table(data, limit)
        print(f"({time.monotonic() - start:.0f} s)\n")
