"""The page: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from .. import __version__
from ..detector.geometry import DetectorGeometry
from ..parameters import Parameter, calibrated, table
from ..storage.studies import DrawnStudy
from ..storage.timings import Timing
from ..tables import CutStep, Floats, Segments
from . import cost, curves, fit_section, limits, losses, origin, pulls, residuals, sample_section, uncertainty, words
from .display import choose_event, event_display, largest_deposits
from .headline import headline
from .outcome import Fit, has_targets, parameter_of, titled, without_targets
from .pages import filled


@dataclass(frozen=True)
class Uncut:
    """A sample before the selection (simulation frame), and what was noticed on reading.

    `start_energy` `(tracks,)` [MeV] by track, in the order of `Segments.track_index`, NaN where unknown. `mislabelled`
    is the number of tracks whose species is not the one that they are labelled with, as far as known.
    """

    segments: Segments
    start_energy: Floats | None = None
    warnings: Sequence[str] = ()
    mislabelled: int = 0


@dataclass(frozen=True)
class Sample:
    """What was fitted: selected segments (simulation frame), their selection, and what was noticed on reading.

    `files` are links by what they lead to, `content_hash` is the SHA-256 of the file of segments, `perturbations` are
    the settings of what was put wrong in them, in order. `uncut` is the sample before the selection; without it the
    physics of the sample is that of the selected segments.
    """

    segments: Segments
    cut_flow: Sequence[CutStep]
    warnings: Sequence[str]
    provenance: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)
    content_hash: str | None = None
    perturbations: Sequence[Mapping[str, Any]] = ()
    uncut: Uncut | None = None


@dataclass(frozen=True)
class Run:
    """What is known of the run besides its results: times of jobs, and `versions` of packages.

    `links` are relative addresses of the files of `timings` by their paths; `record_link` is that of the run's record.
    """

    timings: Sequence[Timing] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    record_link: str = ""


@dataclass(frozen=True)
class Study:
    """The figure of a study, with links by what they lead to."""

    drawn: DrawnStudy
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        """Address of the figure that holds the figure itself."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.drawn.figure).decode()


def render_page(
    title: str,
    sample: Sample,
    fits: Sequence[Fit],
    geometry: DetectorGeometry,
    display_event: int | None = None,
    run: Run | None = None,
    studies: Sequence[Study] = (),
) -> str:
    """The page as HTML text: equal arguments give equal text.

    `display_event` is drawn; None takes the event with most deposits. What depends on times stands between comments
    `<!-- timings -->` and `<!-- /timings -->`. Raises `ConfigError` if there is no such event.
    """
    fits, run = titled(fits), run or Run()
    number = choose_event(sample.segments, display_event)
    event = sample.segments.take(sample.segments.event_id == number)
    drawn = largest_deposits(event)
    values = {f"figure-value-{i}": figure for i, figure in enumerate(curves.parameter_figures(fits))}
    counted = [fit for fit in fits if losses.counts_hits(fit)]
    hits = {f"figure-hits-{i}": figure for i, figure in enumerate(curves.hit_figures(fits, counted))}
    distance = curves.distance_figure(fits)
    compared = losses.compared(fits)
    methods, timed = _method_figures(compared, run)
    physics = _physics(sample, geometry)
    tracks = {entry["name"]: entry["figure"] for entry in physics["figures"]}
    figures = {"figure-event": event_display(drawn, geometry)} | tracks | values | hits | methods
    if distance is not None:
        figures["figure-distance"] = distance
    section = residuals.section(fits, geometry)
    shown = [fit_section.section(fit, len(fits), f"figure-correlation-{i}") for i, fit in enumerate(fits)]
    pulled = pulls.section(fits)
    figures |= _correlations(fits, shown) | (pulled["figures"] if pulled else {})
    answer = headline(fits)
    return filled(
        "page.html",
        title=title,
        headline={"verdict": answer.verdict, "sentences": [words.typeset(text) for text in answer.sentences]},
        limits=limits.section(fits),
        facts=[*_facts(fits, geometry), *_contaminated(sample), *_perturbed(sample)],
        sample=_sample(sample),
        physics=physics,
        event=_event(event, number, len(drawn)),
        legend=fit_section.legend(fits),
        known=has_targets(fits),
        untargeted=without_targets(fits),
        measured=any(fit.result.uncertainty is not None for fit in fits),
        fits=shown,
        pulls=pulled,
        value_figures=list(values),
        distance=distance is not None,
        hit_figures=list(hits),
        uncounted=[fit.title for fit in fits if not losses.counts_hits(fit)] if hits else [],
        banded=len(losses.by_method(fits)) == 1,
        hits=section,
        methods=losses.table(compared, run.timings),
        method_figures=list(methods),
        studies=studies,
        cost=_cost(sample, fits, run),
        glossary=_glossary(fits),
        origins=_origins(sample, fits),
        others=origin.other_segments(fits, sample.content_hash),
        apart=_apart(fits, sample.content_hash),
        packages=origin.packages(run.versions),
        record_link=run.record_link,
        version=__version__,
        figures={name: _json(figure) for name, figure in figures.items()},
        timed_figures={name: _json(figure) for name, figure in timed.items()},
        choices={choice["key"]: _json(choice["figures"]) for choice in section["choices"]},
        plotly=Markup(get_plotlyjs()),
    )


def _correlations(fits: Sequence[Fit], shown: Sequence[Mapping[str, Any]]) -> dict[str, curves.Figure]:
    """The matrices of correlations, by the names of their places."""
    found = {}
    for fit, what in zip(fits, shown, strict=True):
        known, section = fit.result.uncertainty, what["uncertainty"]
        if known is not None and section["name"] is not None:
            parameters = {p.name: parameter_of(p) for p in fit.result.parameters}
            found[section["name"]] = uncertainty.figure(known, parameters)
    return found


def _method_figures(compared: Sequence[Fit], run: Run) -> tuple[dict[str, curves.Figure], dict[str, curves.Figure]]:
    """Figures that compare methods, without and with times."""
    against = {
        "figure-method-distance": losses.distance_by_iteration(compared),
        "figure-method-objective": losses.objective_by_iteration(compared),
    }
    seconds = losses.distance_by_seconds(compared, run.timings)
    return {k: f for k, f in against.items() if f is not None}, {"figure-method-seconds": seconds} if seconds else {}


def _cost(sample: Sample, fits: Sequence[Fit], run: Run) -> dict[str, Any]:
    selected = float(sample.segments.length.sum())
    read = sample.cut_flow[0].length_cm if sample.cut_flow else 0.0
    lengths = {"simulate": selected, "fit": selected} | dict.fromkeys(("produce", "convert", "select"), read)
    return {"stages": cost.by_stage(run.timings), "jobs": cost.by_job(run.timings, fits, lengths, run.links)}


def _json(content: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _facts(fits: Sequence[Fit], geometry: DetectorGeometry) -> list[str]:
    """What was done, in a few words, as far as the fits recorded it."""
    facts = [f"detector {geometry.name}"]
    config: Mapping[str, Any] = next((fit.provenance["config"] for fit in fits if fit.provenance.get("config")), {})
    recombination = config.get("detector", {}).get("recombination")
    noise = config.get("data", {}).get("noise")
    if recombination is not None:
        facts.append(f"recombination: {recombination}")
    if noise is not None:
        facts.append("electronics noise on" if noise else "no electronics noise")
    if "seed" in config:
        facts.append(f"seed {config['seed']}")
    return facts


def _contaminated(sample: Sample) -> list[str]:
    """How many tracks of the data carry the label of another species."""
    if sample.uncut is None or not sample.uncut.mislabelled:
        return []
    tracks = len(np.unique(sample.uncut.segments.track_index()))
    return [
        f"data contaminated: {words.count(sample.uncut.mislabelled)} of {words.count(tracks, 'track')} are of another "
        "species than their label says"
    ]


def _perturbed(sample: Sample) -> list[str]:
    """The perturbations of what the fits got, with those of their settings that say something."""
    steps = []
    for step in sample.perturbations:
        settings = [
            f"{k} {origin.value_text(v)}" for k, v in sorted(step.items()) if k != "kind" and v not in (None, [])
        ]
        steps.append(f"{step['kind']} ({', '.join(settings)})" if settings else str(step["kind"]))
    return [f"segments of the fit perturbed: {', then '.join(steps)}"] if steps else []


def _apart(fits: Sequence[Fit], used: str | None) -> str:
    """What fits get instead of the segments of the page, the file with the hash `used`; empty: nothing else."""
    inputs = [fit.provenance.get("inputs", {}).get("reconstructed") for fit in fits]
    if used is None or all(made is None or made == used for made in inputs):
        return ""
    which = "The fits" if all(inputs) else ", ".join(f.title for f, made in zip(fits, inputs, strict=True) if made)
    return f"{which} got none of these deposits, but segments that were reconstructed from the hits alone."


def _sample(sample: Sample) -> dict[str, Any]:
    segments = sample.segments
    first = max((step.length_cm for step in sample.cut_flow), default=0.0)
    steps = [
        {
            "name": step.name,
            "description": step.description,
            "counts": [words.count(n) for n in (step.events, step.tracks, step.segments)],
            "length": words.count(step.length_cm),
            "kept": 100.0 * step.length_cm / first if first > 0 else 0.0,
        }
        for step in sample.cut_flow
    ]
    summary = ", ".join(
        [
            words.count(len(np.unique(segments.event_id)), "event"),
            words.count(len(np.unique(segments.track_index())), "track"),
            words.count(len(segments), "energy deposit"),
        ]
    )
    return {
        "steps": steps,
        "summary": f"{summary} along {segments.length.sum() / 100.0:.1f} m",
        "warnings": list(sample.warnings),
        "files": list(sample.files.items()),
        "link": next(iter(sample.files.values()), ""),
    }


def _physics(sample: Sample, geometry: DetectorGeometry) -> dict[str, Any]:
    if sample.uncut is None:
        return sample_section.section(sample.segments, geometry, selected=True)
    uncut = sample.uncut
    return sample_section.section(uncut.segments, geometry, uncut.start_energy, warnings=uncut.warnings)


def _event(event: Segments, number: int, drawn: int) -> dict[str, Any]:
    particles, which = np.unique(event.pdg_id, return_inverse=True)
    energy = np.bincount(which.ravel(), weights=event.dE)
    common = [words.species(int(particles[i])) for i in np.argsort(-energy, kind="stable")[:5]]
    return {
        "number": number,
        "deposits": words.count(len(event), "energy deposit"),
        "tracks": words.count(len(np.unique(event.track_index())), "track"),
        "energy": f"{event.dE.sum():.4g} MeV",
        "particles": ", ".join(common) + (", ..." if len(particles) > 5 else ""),
        "drawn": words.count(drawn) if drawn < len(event) else None,
    }


def _glossary(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """The six parameters of the calibration and any other that a fit names."""
    known = table()
    named = dict.fromkeys([p.name for p in calibrated()] + [p.name for fit in fits for p in fit.result.parameters])
    return [_entry(known[name]) for name in named if name in known]


def _entry(parameter: Parameter) -> dict[str, Any]:
    low, high, nominal = (f"{words.scaled(parameter, v):g}" for v in (parameter.low, parameter.high, parameter.nominal))
    return {
        "label": Markup(words.label(parameter)),
        "name": parameter.name,
        "description": parameter.description,
        "unit": Markup(words.display_unit(parameter)) or "pure number",
        "nominal": nominal.replace("-", "−"),
        "range": f"{low} to {high}".replace("-", "−"),
    }


def _origins(sample: Sample, fits: Sequence[Fit]) -> list[dict[str, Any]]:
    records = [("Sample", sample.provenance, sample.files)] + [(fit.title, fit.provenance, fit.files) for fit in fits]
    return [origin.origin(name, record, files) for name, record, files in records if record or files]
