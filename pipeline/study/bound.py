"""The smallest possible uncertainty of any fit of a sample, for whatever is known of its deposits and parameters.

Nothing is fitted. At the true parameters and the true segments H is the information of noisy hits and of beliefs on
parameters `t` and state `l` of the tracks (`calibrate.joint`). What is left for the parameters is `H_tt` where the
deposits are known, and else the Schur complement `H_tt - H_tl H_ll^-1 H_lt` over what is not known of them; its inverse
is the bound of Cramer and Rao. Information of parts of the sample that share no pixel adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..calibrate.joint.cutting import usable
from ..calibrate.joint.part import Evaluated, Part
from ..calibrate.joint.parts import beliefs_of
from ..calibrate.joint.tracks import Chains
from ..config.bound import Bound, Knowledge
from ..config.methods import WITHOUT_KB
from ..config.models import Config
from ..config.unknown import Unknown
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError, FileFormatError
from ..parameters import CALIBRATED, nominal_values
from ..parameters import table as table_of_parameters
from ..perturb.tracks import path_of
from ..simulate.batches import divide
from ..simulate.setup import forward_model
from ..storage.studies import read_study
from ..tables import Floats, Ints, Segments
from . import published_ladder as published
from .experiment import PixelExperiment, noise_seed
from .information import BatchInformation, Case
from .processes import Kept, with_threads, work_through
from .trials import parts_of, taken, through_cuts

#: Stream of random numbers of the samples of parts, beside the seed of the run.
_STREAM = 31


@dataclass(frozen=True)
class Deposits:
    """What is known of the deposits: whether their `dedx` and their `places` are; `width` of the belief in ln(dE/dx),
    None: straggling.
    """

    dedx: bool
    places: bool
    width: float | None = None

    @staticmethod
    def of(case: Knowledge) -> Deposits:
        """Those of a configured case."""
        return Deposits(case.dedx == "known", case.geometry == "known", case.relative_width)

    def beliefs(self, settings: Bound) -> Unknown:
        """What is believed of what is not known."""
        return Unknown(
            energy="given" if self.dedx and not self.places else "fitted",
            hypotheses=settings.hypotheses,
            relative_width=self.width,
            production_cut_mev=settings.production_cut_mev,
        )

    def information(self, at: Evaluated) -> Floats:
        """`(P, P)` information on the parameters, with what is not known eliminated."""
        if not self.places:
            return at.eliminated().curvature
        return at.curvature if self.dedx else at.energies_eliminated()

    @property
    def belief(self) -> str:
        """What is believed of dE/dx, in a word."""
        if self.dedx:
            return "known"
        return "straggling" if self.width is None else f"{100 * self.width:g} %"

    @property
    def stage(self) -> str | None:
        """The stage of the published ladder that knows as much."""
        return {(True, True): "S1", (False, True): "S2", (False, False): "S4"}.get((self.dedx, self.places))


@dataclass(frozen=True)
class Job:
    """One draw of noise of one part, by their numbers."""

    part: int
    draw: int


@dataclass(frozen=True)
class Informations:
    """The information that parts of a sample hold on the parameters `names` at `values` (`processes.Work`)."""

    parts: tuple[Segments, ...]
    geometry: DetectorGeometry
    config: Config
    names: tuple[str, ...]
    values: Mapping[str, float]
    deposits: tuple[Deposits, ...]

    def do(self, job: Job) -> dict[str, Any]:
        """One matrix for each of `deposits`, in units of the values."""
        experiment = PixelExperiment(self.parts[job.part], self.geometry, self.config)
        data = experiment.data(self.values, noise_seed(self.config.seed, job.part, job.draw))
        model = experiment.model.model
        state = Chains.of(model.segments, loose=True)

        @cache
        def at(unknown: Unknown) -> Evaluated:
            beliefs = beliefs_of(state, unknown, None)
            part = Part(data, state, beliefs, self.geometry, model.settings, model.pixels)
            return part.at(state, self.values, self.names)

        unit = units(self.values, self.names)
        settings = self.config.study.bound
        found = [(at(d.beliefs(settings)), d) for d in self.deposits]
        return {
            "part": job.part,
            "draw": job.draw,
            "hits": found[0][0].hits,
            "outliers": found[0][0].outliers,
            "information": [(d.information(e) * np.outer(unit, unit)).tolist() for e, d in found],
        }


def run(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    progress: Callable[[str], None],
    kept: Kept | None = None,
) -> dict[str, Any]:
    """Smallest standard deviations of every case, at the configured lengths.

    Raises `SelectionError` where the cuts leave nothing, `FitError` where the readout has noise that is in no
    likelihood of segments, and as `reached` does.
    """
    settings = config.study.bound
    fits = None if settings.reached is None else reached(Path(settings.reached))
    cases = {name: settings.case(name) for name in settings.cases}
    values = {**nominal_values(), **settings.target}
    names = tuple(n for n in table_of_parameters() if any(n in case.free for case in cases.values()))
    deposits = tuple(dict.fromkeys(Deposits.of(case) for case in cases.values()))
    processes, config = config.simulate.threads, with_threads(config)
    sample = through_cuts(config, segments, geometry, "bound")
    (sample,) = taken(sample, parts_of(sample, settings.length_cm, config.seed, 1))
    sample = usable(without_gaps(sample), loose=True)
    plan = forward_model(sample, geometry, config).plan(values)
    division = divide(sample, plan, settings.part_cm, config.seed)
    parts = tuple(sample.take(division.segments == k) for k in range(division.count))
    work = Informations(parts, geometry, config, names, values, deposits)
    jobs = [Job(part, draw) for part in range(len(parts)) for draw in range(settings.draws)]
    answers = work_through(work, jobs, processes, progress, "parts", kept)
    found = gathered(answers, parts, len(deposits))
    return {
        "settings": settings.model_dump(mode="json"),
        "noise": config.readout.noise.model_dump(mode="json"),
        "target": values,
        "sample_cm": float(sample.length.sum()),
        "tracks": int(sample.track_index().max()) + 1,
        "segments": len(sample),
        "parts": len(parts),
        "hits": sum(a["hits"] for a in answers) / settings.draws,
        "outliers": sum(a["outliers"] for a in answers) / settings.draws,
        "parameters": [
            {"name": n, "unit": "%" if values[n] else table_of_parameters()[n].unit, "value": values[n]} for n in names
        ],
        "information": [
            {"dedx": d.dedx, "places": d.places, "width": d.width, "per_cm": batches.per_cm().tolist()}
            for d, batches in zip(deposits, found, strict=True)
        ],
        "scaled_to_cm": published.LENGTH_CM,
        "cases": [
            of_case(name, case, found[deposits.index(Deposits.of(case))], names, values, settings, config.seed)
            for name, case in cases.items()
        ],
        "reached": fits,
    }


def units(values: Mapping[str, float], names: Sequence[str]) -> Floats:
    """`(P,)` what standard deviations are told in: the value of a parameter, 1 where that is 0."""
    return np.array([abs(values[n]) or 1.0 for n in names])


def without_gaps(segments: Segments) -> Segments:
    """Every uninterrupted run of a track as a track of its own: chains of segments have no gaps."""
    path = path_of(segments)
    run: Ints = np.empty(len(segments), dtype=np.int64)
    run[path.rows] = path.run
    return segments.replace(traj_id=run)


def gathered(answers: Iterable[Mapping[str, Any]], parts: Sequence[Segments], kinds: int) -> list[BatchInformation]:
    """The information of all parts, averaged over draws, for each of the `kinds` of knowledge."""
    per_part: list[list[Any]] = [[] for _ in parts]
    for answer in answers:
        per_part[answer["part"]].append(answer["information"])
    length = np.array([part.length.sum() for part in parts])
    means = [np.mean(informations, axis=0) for informations in per_part]
    return [BatchInformation(length, np.array([mean[k] for mean in means])) for k in range(kinds)]


def of_case(
    name: str,
    case: Knowledge,
    batches: BatchInformation,
    names: tuple[str, ...],
    values: Mapping[str, float],
    settings: Bound,
    seed: int,
) -> dict[str, Any]:
    """The bounds of a case by parameter: per root of a cm as the sample has it, and at every length, each with an error
    from the scatter of the parts (half of 68 % of bootstrap samples); None where undetermined, or of one part only.
    """
    free = tuple(k for k, n in enumerate(names) if n in case.free)
    known = [case.priors_percent.get(names[k], np.inf) for k in free]
    of = Case(name, free, np.array([(100 / percent) ** 2 for percent in known]), names)
    per_cm = batches.per_cm()
    # The same samples in every case, so that their order is the same in each.
    drawn = batches.resampled_per_cm(np.random.default_rng([seed, _STREAM]), np.inf, settings.subsets)
    unit = np.array([100.0 if values[n] else 1.0 for n in of.names])

    def at(length: float) -> tuple[Floats, Floats]:
        low, high = np.quantile(of.uncertainty(drawn, length), [0.16, 0.84], axis=0)
        error = 0.5 * (high - low) if len(batches.length) > 1 else np.full(len(unit), np.nan)
        return unit * of.uncertainty(per_cm, length), unit * error

    lengths = (batches.total_length, published.LENGTH_CM, *settings.lengths_cm)
    bounds, errors = (np.array(found) for found in zip(*(at(length) for length in lengths), strict=True))
    root = np.sqrt(batches.total_length)
    deposits = Deposits.of(case)
    return {
        "name": name,
        **case.model_dump(mode="json"),
        "belief": deposits.belief,
        "stage": deposits.stage,
        "parameters": {
            parameter: {
                "per_root_cm": _number(root * bounds[0, k]),
                "per_root_cm_error": _number(root * errors[0, k]),
                "scaled": _number(bounds[1, k]),
                "scaled_error": _number(errors[1, k]),
                "value": [_number(v) for v in bounds[2:, k]],
                "error": [_number(v) for v in errors[2:, k]],
                "published": published_bound(case, parameter),
            }
            for k, parameter in enumerate(of.names)
        },
    }


def _number(value: float) -> float | None:
    """A plain number; None where undetermined."""
    return float(value) if np.isfinite(value) else None


def published_bound(case: Knowledge, parameter: str) -> float | None:
    """The published bound [%] of a parameter at `LENGTH_CM` for the same knowledge, if there is one."""
    both = {frozenset(WITHOUT_KB): False, frozenset(CALIBRATED): True}.get(frozenset(case.free))
    deposits = Deposits.of(case)
    if both is None or deposits.stage is None or case.priors_percent:
        return None
    bounds = published.bound(deposits.stage, parameter, both)
    if bounds is None or deposits.stage == "S1":
        return None if bounds is None else bounds[0]
    percent = None if deposits.width is None else round(100 * deposits.width, 9)
    return bounds[published.PRIORS.index(percent)] if percent in published.PRIORS else None


def reached(path: Path) -> dict[str, Any]:
    """What fits reached, from a result of the study `ladder`: for every length, stage and parameter sqrt(bias^2 +
    spread^2) with its error, and the uncertainty that they state [%]; S3, whose tracks are wrong, has no bound.

    Raises `ConfigError` for results of other studies, and `FileFormatError` for files that are none.
    """
    result = read_study(path)
    if result["study"] != "ladder":
        raise ConfigError(
            f"study.bound.reached: {path} is a result of the study {result['study']}; name one of the study ladder."
        )
    points = []
    try:
        for campaign in result["campaigns"]:
            for stage, found in campaign["stages"].items():
                for name, p in found["parameters"].items() if stage in published.BOUNDS else ():
                    errors = p["errors_percent"]
                    points.append(
                        {
                            "stage": stage,
                            "length_cm": float(campaign["length_cm"]),
                            "parameter": name,
                            "total": errors.get("total"),
                            "total_error": errors.get("total_error"),
                            "stated": p["uncertainty_percent"],
                        }
                    )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"{path}: this result of the study ladder is not as this version writes it; make it anew."
        ) from error
    return {"sample": result["sample"], "points": points}


def table(result: Mapping[str, Any]) -> str:
    """The bounds at the length of published ones, as lines of text."""
    names = [p["name"] for p in result["parameters"]]
    wide = max(24, *(len(n) + 2 for n in names))
    first = max(8, *(len(case["name"]) + 2 for case in result["cases"]))
    unit = {p["name"]: p["unit"] for p in result["parameters"]}
    heads = [f"{n} [{unit[n]}]" if unit[n] else n for n in names]
    lines = [
        f"smallest standard deviations at {result['scaled_to_cm']:.0f} cm, from {result['sample_cm']:.0f} cm in "
        f"{result['parts']} parts (published bounds in brackets)",
        f"{'case':<{first}}{'dE/dx':<12}{'tracks':<9}" + "".join(f"{h:>{wide + 6}}" for h in heads),
    ]
    for case in result["cases"]:
        cells = [_cell(case["parameters"].get(n)) for n in names]
        line = f"{case['name']:<{first}}{case['belief']:<12}{case['geometry']:<9}"
        lines.append(line + "".join(f"{cell:>{wide + 6}}" for cell in cells))
    return "\n".join(lines)


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "known"
    if found["scaled"] is None:
        return "undetermined"
    error = "" if found["scaled_error"] is None else f" +- {found['scaled_error']:.1g}"
    known = "" if found["published"] is None else f" ({found['published']:g})"
    return f"{found['scaled']:.3g}{error}{known}"
