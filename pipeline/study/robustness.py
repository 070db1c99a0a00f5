"""What wrong beliefs about the deposits do to a fit, and what is left of it with the nuisances that are made for them.

For every case data are made with one set of deposits and fits are told another. Each fit has tracks of its own as far
as the sample goes, noise of its own and mistakes of its own, so that the mean pull over all fits is the bias in units
of the uncertainty that a fit states, known to its width / sqrt(N).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config.generator import Block, Generator, Species
from ..config.methods import Method
from ..config.models import Config, Sample
from ..config.robustness import NUISANCES, Case
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..parameters import table as table_of_parameters
from ..perturb.apply import check_perturbations
from ..perturb.contamination import Contamination, contaminate
from ..perturb.tracks import tracks_of
from ..produce.sample import Recipe, produce
from ..tables import Segments
from ..targets import fitted_targets
from .estimators import Task, estimator
from .processes import Kept, with_threads, work_through
from .pulls import method_of, pull_statistics
from .trials import (
    STREAM,
    Job,
    PixelTrials,
    Series,
    Told,
    Trials,
    deposits_of_parts,
    parts_of,
    taken,
    through_cuts,
)

#: Parameters that belong to a model of recombination: data made with another have no true value of them.
_OF_RECOMBINATION = ("birks_ab", "birks_kb", "box_alpha", "box_beta")
#: Between a case and what its fit leaves open, in the name of a series.
_BETWEEN = "/"
_MUON, _PION = 13, 211
#: Pions of a kinetic energy [MeV] per event that is made for contamination, and how many more than are needed.
_ENERGY, _PER_EVENT, _MORE = 1000.0, 10, 1.2


def run(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    progress: Callable[[str], None],
    kept: Kept | None = None,
) -> dict[str, Any]:
    """Fit every case, without and with its nuisances, and compare with the truth.

    Raises `ConfigError` where the method or a target does not exist, and `SelectionError` where the cuts leave nothing.
    """
    settings = config.study.robustness
    method = method_of(config, settings.method, "study.robustness.method")
    processes, config = config.simulate.threads, with_threads(config)
    cases = {name: settings.case(name) for name in settings.cases}
    series = list(_series(config, method, cases))
    targets = fitted_targets(config, settings.targets, settings.named_targets, method.free, "study.robustness")
    sample = through_cuts(config, segments, geometry, "robustness")
    # Cases share the events of their parts: those with other tracks in them, too.
    events = parts_of(sample, settings.length_cm, config.seed, len(targets) * settings.draws)
    pions = _pions(config, geometry, sample, cases, processes, progress)
    told = []
    for name, case in cases.items():
        check_perturbations(case.perturb, geometry, f"study.robustness: {name}.perturb")
        deposits = taken(_contaminated(sample, pions, case, config.seed), events)
        one = Told(deposits, settings.draws, _of_data(config, case), case.perturb)
        told += [one] * len(settings.fits)
    source = PixelTrials(tuple(told), geometry, config, "study.robustness")
    work = Trials(source, tuple(series), method, settings.method, targets, config.seed)
    free = work.calibrated(series[0])
    if not free:
        raise ConfigError("study.robustness.hold: every parameter of the method is held, so nothing is fitted.")
    jobs = [Job(s, t, d) for s in range(len(series)) for t in range(len(targets)) for d in range(settings.draws)]
    fits = work_through(work, jobs, processes, progress, "fits", kept)
    rows = rows_of(fits, series, free)
    return {
        "settings": settings.model_dump(mode="json"),
        "noise": config.readout.noise.model_dump(mode="json"),
        "deposits": deposits_of_parts(taken(sample, events), settings.length_cm),
        "targets": targets,
        "free": list(free),
        "cases": {name: case.model_dump(mode="json") for name, case in cases.items()},
        "rows": {case: {fit: rows[series_name(case, fit)] for fit in settings.fits} for case in cases},
        "paths": paths_of(fits, series),
        "fits": [{k: v for k, v in f.items() if k != "path"} for f in fits],
    }


def series_name(case: str, fit: str) -> str:
    """Name of the fits of a case `without` or `with` its nuisances."""
    return f"{case}{_BETWEEN}{fit}"


def _series(config: Config, method: Method, cases: Mapping[str, Case]) -> list[Series]:
    """The fits of every case, in the order of cases and then of `fits`."""
    settings = config.study.robustness
    found = []
    for name, case in cases.items():
        for fit in settings.fits:
            open_ = {*case.always, *(case.nuisances if fit == "with" else ())}
            task = Task(**{what: what in open_ for what in NUISANCES})
            unknown = _OF_RECOMBINATION if _of_data(config, case) is not config else ()
            found.append(
                Series(
                    series_name(name, fit),
                    estimator(task, method, config, settings),
                    settings.hold,
                    tuple(n for n in table_of_parameters() if n in open_),
                    unknown,
                    settings.paths if name in settings.paths_of else 0,
                )
            )
    return found


def _of_data(config: Config, case: Case) -> Config:
    """The configuration that makes the data of a case: the same one where they are as fits believe."""
    if case.data_recombination in (None, config.detector.recombination):
        return config
    detector = config.detector.model_copy(update={"recombination": case.data_recombination})
    return config.model_copy(update={"detector": detector})


def _pions(
    config: Config,
    geometry: DetectorGeometry,
    sample: Segments,
    cases: Mapping[str, Case],
    processes: int,
    progress: Callable[[str], None],
) -> Segments | None:
    """Pions as many as any case takes, on the border like the muons that they replace; None where none takes any."""
    most = max((case.pions for case in cases.values()), default=0.0)
    if not most:
        return None
    muons = np.count_nonzero(np.abs(sample.pdg_id[tracks_of(sample).first]) == _MUON)
    events = int(np.ceil(_MORE * most * muons / _PER_EVENT)) + 1
    progress(f"{events * _PER_EVENT} pions to take the places of muons")
    block = Block(
        vertices=(_PER_EVENT, _PER_EVENT),
        species=(Species(pdg=(_PION, -_PION), kinetic_energy_mev=(_ENERGY, _ENERGY)),),
        position="border",
        direction="isotropic",
    )
    made = Sample(generator=Generator(events=events, blocks={"pions": block}), transport=config.sample.transport)
    recipe = Recipe.of(made, geometry, int(np.random.SeedSequence([config.seed, STREAM]).generate_state(1)[0]))
    parts = [part.segments for part in produce(recipe, processes)]
    return through_cuts(config, Segments.concatenate(parts), geometry, "robustness: pions")


def _contaminated(sample: Segments, pions: Segments | None, case: Case, seed: int) -> Segments:
    """The sample with pions in place of some muons; a larger part replaces the same muons and more."""
    if pions is None or not case.pions:
        return sample
    settings = Contamination(sample="pions", fraction=case.pions, wanted=_MUON, species=_PION, seed=seed)
    return contaminate(sample, pions, settings, "robustness", "robustness: pions").segments


def rows_of(
    fits: Sequence[Mapping[str, Any]], series: Sequence[Series], free: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Pulls of every parameter by series: mean (the bias in units of its uncertainty), width, coverage, and how many;
    None for a parameter without a true value.
    """
    found = {}
    for one in series:
        mine = [f for f in fits if f["series"] == one.name]
        pulls = {
            name: pull_statistics(np.array([f["pulls"][name] for f in mine if f["pulls"]]), len(mine))
            for name in free
            if name not in one.unknown
        }
        found[one.name] = {
            "fits": len(mine),
            "converged": sum(bool(f["converged"]) for f in mine),
            "parameters": {name: pulls.get(name) for name in free},
        }
    return found


def paths_of(fits: Sequence[Mapping[str, Any]], series: Sequence[Series]) -> list[dict[str, Any]]:
    """Paths of the fits of which they were kept, by series."""
    found = []
    for one in series:
        paths = [f["path"] for f in fits if f["series"] == one.name and f["path"]]
        if paths:
            case, fit = one.name.split(_BETWEEN)
            found.append({"case": case, "fit": fit, "paths": paths})
    return found


def table(result: Mapping[str, Any]) -> str:
    """Mean pulls and widths of every case as lines of text."""
    deposits, free = result["deposits"], result["free"]
    lines = [
        f"{len(result['targets'])} targets, {deposits['length_cm']:.0f} cm of track in each fit, {deposits['parts']} "
        "samples of that length; mean pull +- error, (width)",
        f"{'':<32}{'fits':>10}" + "".join(f"{name:>26}" for name in free),
    ]
    for case in result["cases"]:
        for fit in result["settings"]["fits"]:
            row = result["rows"][case][fit]
            cells = [_cell(row["parameters"][name]) for name in free]
            count = f"{row['converged']}/{row['fits']}"
            lines.append(f"{f'{case}, {fit}':<32}{count:>10}" + "".join(f"{c:>26}" for c in cells))
    return "\n".join(lines)


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "no truth"
    if "mean" not in found:
        return "-"
    return f"{found['mean']:+.2f} +- {found['mean_error']:.2f} ({found['width']:.2f})"
