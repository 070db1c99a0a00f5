"""How many muons are needed: the smallest possible uncertainty against length of track, species and their mix.

The information of tracks adds up, so it is computed once for batches of whole tracks of each species, summed as
wanted, and inverted: the bound of Cramer and Rao for any unbiased estimate that knows the deposits exactly. Every
species is taken alone, without the electrons that it strikes where they are tracks of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from ..config.models import Config
from ..config.precision import ExpectedUncertainty
from ..detector.geometry import DetectorGeometry
from ..errors import SelectionError
from ..parameters import CALIBRATED, calibrated
from ..perturb.base import Context
from ..perturb.losses import Losses
from ..perturb.resegment import Resegment, resegment
from ..select.cuts import apply_cuts
from ..tables import Bools, Floats, Segments
from .information import BatchInformation, Case, batch_information

#: Stream of random numbers of the subsets, beside the seed of the run.
_STREAM = 12
#: Lengths [cm] between which the needed one is looked for.
_LENGTHS = (1e-3, 1e12)
_HALVINGS = 50


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Expected uncertainties of all species and their mixes, relative to the values.

    Raises `SelectionError` where the sample has none of the configured species.
    """
    settings = config.study.expected_uncertainty
    values = {p.name: settings.target.get(p.name, p.nominal) for p in calibrated()}
    found: dict[str, BatchInformation] = {}
    by_segment_length: dict[str, list[dict[str, Any]]] = {}
    cases = list(_cases(settings))
    for name, sample in _species(config, segments, geometry):
        progress(f"{name}, {sample.length.sum():.0f} cm")
        found[name] = batch_information(config, sample, geometry, values, CALIBRATED, settings.batch_cm)
        by_segment_length[name] = [_of_segments(cases, sample, found[name], settings.mix_cm)]
        for length in settings.segment_lengths_cm:
            progress(f"{name}, deposits of {length:g} cm")
            cut = resegment(sample, Resegment(length_cm=length), Context(geometry, Losses())).segments
            other = batch_information(config, cut, geometry, values, CALIBRATED, settings.batch_cm)
            by_segment_length[name].append(_of_segments(cases, cut, other, settings.mix_cm))
    return {
        "target": values,
        "settings": settings.model_dump(mode="json"),
        "cases": [{"name": c.name, "parameters": c.names} for c in cases],
        "species": [
            {
                "name": name,
                "length_cm": batches.total_length,
                "batches": len(batches.length),
                "information_per_cm": batches.per_cm().tolist(),
                "curves": {c.name: _curves(c, batches, config) for c in cases},
                "segment_lengths": by_segment_length[name],
            }
            for name, batches in found.items()
        ],
        "mixes": [{"species": [a, b], **_mix(cases, found[a], found[b], config)} for a, b in combinations(found, 2)],
        "needed": [row for c in cases for row in _needed(c, found, config)],
    }


def table(result: dict[str, Any]) -> str:
    """The lengths that are needed, as lines of text."""
    compositions = list(dict.fromkeys(row["composition"] for row in result["needed"]))
    tracks = result["settings"]["track_cm"]
    lines = [f"track needed [cm] (tracks of {tracks:g} cm)"]
    lines.append(f"{'case':<18}{'parameter':<24}{'wanted':>8}" + "".join(f"{c:>24}" for c in compositions))
    by_place = {(r["case"], r["parameter"], r["composition"]): r for r in result["needed"]}
    for case, parameter in dict.fromkeys((r["case"], r["parameter"]) for r in result["needed"]):
        cells = [_cell(by_place[case, parameter, c], tracks) for c in compositions]
        wanted = f"{result['settings']['wanted_percent'][parameter]:g} %"
        lines.append(f"{case:<18}{parameter:<24}{wanted:>8}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines)


def _cell(row: dict[str, Any], track: float) -> str:
    length = row["length_cm"]
    return "never" if length is None else f"{length:.0f} ({np.ceil(length / track):.0f})"


def _cases(settings: ExpectedUncertainty) -> Iterator[Case]:
    everything = tuple(range(len(CALIBRATED)))
    none = np.zeros(len(CALIBRATED))
    yield Case("all free", everything, none)
    if settings.fixed:
        free = tuple(k for k in everything if CALIBRATED[k] not in settings.fixed)
        yield Case("fixed: " + ", ".join(settings.fixed), free, none[: len(free)])
    if settings.priors_percent:
        known = [settings.priors_percent.get(name, np.inf) for name in CALIBRATED]
        yield Case("with priors", everything, np.array([(100 / percent) ** 2 for percent in known]))


def _species(config: Config, segments: Segments, geometry: DetectorGeometry) -> Iterator[tuple[str, Segments]]:
    """The tracks of each configured species that there is, through the cuts."""
    settings = config.study.expected_uncertainty
    some = False
    for name, codes in settings.species.items():
        if not np.isin(segments.pdg_id, codes).any():
            continue
        cuts = config.select.model_copy(
            update={
                "species": codes,
                "max_anode_distance_cm": settings.max_anode_distance_cm,
                "max_total_length_cm": settings.sample_cm,
            }
        )
        some = True
        yield name, apply_cuts(segments, cuts, geometry, config.seed, f"expected_uncertainty, {name}").segments
    if not some:
        there = ", ".join(map(str, np.unique(segments.pdg_id)))
        raise SelectionError(
            f"expected_uncertainty: the sample holds PDG codes {there}, none of study.expected_uncertainty.species; "
            f"add one there."
        )


def _numbers(values: Floats) -> list[float | None]:
    """Plain numbers; None where undetermined."""
    return [float(v) if np.isfinite(v) else None for v in values]


def _band(case: Case, batches: BatchInformation, length: float, config: Config) -> tuple[Floats, Floats]:
    """68 % of random samples: lower and upper relative uncertainty `(P,)`; NaN where one of them determines nothing."""
    settings = config.study.expected_uncertainty
    rng = np.random.default_rng([config.seed, _STREAM])
    spread = case.uncertainty(batches.resampled_per_cm(rng, length, settings.subsets), length)
    low, high = np.quantile(spread, [0.16, 0.84], axis=0)
    return low, high


def _curves(case: Case, batches: BatchInformation, config: Config) -> dict[str, dict[str, list[float | None]]]:
    """By parameter: relative uncertainty at every configured length, and the band of random samples."""
    lengths = config.study.expected_uncertainty.lengths_cm
    value = [_numbers(case.uncertainty(batches.per_cm(), length)) for length in lengths]
    bands = [_band(case, batches, length, config) for length in lengths]
    return {
        name: {
            "value": [row[k] for row in value],
            "low": _numbers(np.array([low[k] for low, _ in bands])),
            "high": _numbers(np.array([high[k] for _, high in bands])),
        }
        for k, name in enumerate(case.names)
    }


def _of_segments(cases: list[Case], cut: Segments, batches: BatchInformation, length: float) -> dict[str, Any]:
    """What a length of deposits means for the uncertainty at `length` [cm] of track."""
    return {
        "mean_cm": float(cut.length.mean()),
        "uncertainty": {
            case.name: dict(zip(case.names, _numbers(case.uncertainty(batches.per_cm(), length)), strict=True))
            for case in cases
        },
    }


def _mix(cases: list[Case], first: BatchInformation, second: BatchInformation, config: Config) -> dict[str, Any]:
    """Uncertainties against the share of the second species, by length of track."""
    settings = config.study.expected_uncertainty
    shares = np.linspace(0, 1, settings.mix_points)
    rng = np.random.default_rng([config.seed, _STREAM])
    ones, others = (b.resampled_per_cm(rng, settings.mix_cm, settings.subsets) for b in (first, second))
    curves: dict[str, Any] = {}
    for case in cases:
        rows = []
        for share in shares:
            value = case.uncertainty((1 - share) * first.per_cm() + share * second.per_cm(), settings.mix_cm)
            spread = case.uncertainty((1 - share) * ones + share * others, settings.mix_cm)
            rows.append((value, *np.quantile(spread, [0.16, 0.84], axis=0)))
        columns = np.array(rows)
        curves[case.name] = {
            name: {key: _numbers(columns[:, j, k]) for j, key in enumerate(("value", "low", "high"))}
            for k, name in enumerate(case.names)
        }
    return {"share": shares.tolist(), "curves": curves}


def _needed(case: Case, found: dict[str, BatchInformation], config: Config) -> Iterator[dict[str, Any]]:
    """Length for every wanted uncertainty: of each species alone and of all in equal parts; with 68 % of subsets."""
    settings = config.study.expected_uncertainty
    compositions = {name: {name: 1.0} for name in found}
    if len(found) > 1:
        compositions["equal parts"] = {name: 1 / len(found) for name in found}
    for composition, shares in compositions.items():
        rng = np.random.default_rng([config.seed, _STREAM])
        mean, drawn = np.zeros((6, 6)), np.zeros((settings.subsets, 6, 6))
        for name, share in shares.items():
            mean += share * found[name].per_cm()
            drawn += share * found[name].resampled_per_cm(rng, np.inf, settings.subsets)
        for name, percent in settings.wanted_percent.items():
            if name in case.names:
                band = np.quantile(needed_length(case, drawn, name, percent / 100), [0.16, 0.84], method="nearest")
                length = needed_length(case, mean, name, percent / 100)
                yield {
                    "case": case.name,
                    "composition": composition,
                    "parameter": name,
                    **dict(zip(("length_cm", "low_cm", "high_cm"), _numbers(np.array([length, *band])), strict=True)),
                }


def needed_length(case: Case, per_cm: Floats, name: str, wanted: float) -> Floats:
    """`(...)` length [cm] of track at which the relative uncertainty of a parameter is `wanted`, from `(..., 6, 6)`.

    0 where external measurements alone are as good, infinite where no length is enough.
    """
    k = case.names.index(name)

    def known(length: Floats) -> Bools:
        return np.asarray(case.uncertainty(per_cm, length[..., None, None])[..., k] <= wanted)

    low, high = (np.full(per_cm.shape[:-2], np.log(length)) for length in _LENGTHS)
    nothing, never = known(np.exp(low)), ~known(np.exp(high))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = known(np.exp(middle))
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(np.where(nothing, 0.0, np.where(never, np.inf, np.exp(high))))
