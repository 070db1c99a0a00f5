"""What a configuration would run, and what is wrong or suspicious in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..calibrate.fit import check_method
from ..config.methods import LIKELIHOODS, Method
from ..config.models import Config, Sample
from ..detector.geometry import DetectorGeometry
from ..errors import GradcalError
from ..layout import check_paths
from ..parameters import lookup
from ..perturb.apply import check_perturbations
from ..produce.generator import check_generator, expanded, particles_in
from ..storage.pixels import load_pixels
from ..study.registry import study_names
from ..targets import measured, target_values
from .findings import Finding, Summary, counted, in_order

_CUTS = (
    "species",
    "max_delay_us",
    "max_abs_cos_drift",
    "track_anode_margin_cm",
    "max_anode_distance_cm",
    "min_track_length_cm",
    "max_total_length_cm",
)


def summarise(config: Config, geometry: DetectorGeometry | GradcalError) -> Summary:
    """What a valid configuration would run and what there is to say against it.

    `geometry` is its detector, or the error of reading it.
    """
    run = methods(config)
    found: list[Finding] = []
    if isinstance(geometry, GradcalError):
        found.append(Finding("error", "detector", str(geometry)))
    else:
        for name, sample in samples(config).items():
            if sample.file is None:
                found += _tried("generator", lambda sample=sample: check_generator(sample.generator, geometry))  # type: ignore[misc]
            elif not Path(sample.file).is_file():
                text = f"{name}: there is no file {sample.file!r}; give a ROOT or HDF5 file of energy deposits."
                found.append(Finding("error", "sample", text))
        steps, key = config.scenarios[config.scenario].perturb, f"scenarios.{config.scenario}.perturb"
        found += _tried("perturb", lambda: check_perturbations(steps, geometry, key))
        found += _tried("pixels", lambda: load_pixels(config.readout.pixels, geometry))
    found += _tried("paths", lambda: check_paths(config))
    found += _tried("targets", lambda: target_values(config))
    for name in run:
        found += _tried("method", lambda name=name: check_method(run[name], name))  # type: ignore[misc]
        found += [*_method(run[name], name), *_noise(config, run[name], name)]
    found += _tried("study", lambda: study_names(config))
    found += [*_cuts(config), *_ranges(config), *_recorded(config), *_unused(config)]
    # The same mistake may be met on two ways.
    return Summary("configuration", tuple(_facts(config, geometry, run)), in_order(dict.fromkeys(found)))


def samples(config: Config) -> dict[str, Sample]:
    """Samples of the configured scenario by the name of their setting."""
    named = config.scenarios[config.scenario].samples
    return {f"samples.{name}": config.samples[name] for name in named} or {"sample": config.sample}


def methods(config: Config) -> dict[str, Method]:
    """Methods of the configured scenario by name: those it names, else all that are configured."""
    return {name: config.known_methods[name] for name in config.scenarios[config.scenario].methods or config.methods}


def _tried(rule: str, work: Callable[[], object]) -> list[Finding]:
    try:
        work()
    except GradcalError as error:
        return [Finding("error", rule, str(error))]
    return []


def _facts(
    config: Config, geometry: DetectorGeometry | GradcalError, run: Mapping[str, Method]
) -> Iterator[tuple[str, str]]:
    yield "scenario", f"{config.scenario}, of {', '.join(config.scenarios)}; seed {config.seed}; to {config.results}/"
    for name, sample in samples(config).items():
        yield name, sample.file or _generated(sample, geometry)
    on = [
        f"{cut} {_shown(getattr(config.select, cut))}" for cut in _CUTS if getattr(config.select, cut) not in ((), None)
    ]
    yield "cuts", ", ".join(on) or "none"
    detector = config.detector
    name = detector.file if isinstance(geometry, GradcalError) else geometry.name
    yield "detector", f"{name}; {detector.recombination} recombination, {detector.response} response"
    noise = "with electronics noise" if config.readout.noise.enabled else "without noise"
    pixels = config.readout.pixels
    alike = "drawn for every pixel" if pixels.drawn else "those of the detector"
    constants = f"thresholds, gains and pedestals {alike if pixels.file is None else f'from {pixels.file}'}"
    yield "readout", f"{noise}, {'whole' if config.readout.integer_adc else 'real-valued'} ADC counts, {constants}"
    yield "targets", _targets(config)
    if config.data is not None and measured(config):
        yield "data", f"hits recorded elsewhere, of the table {config.data.dataset} in {config.data.file}"
    for name, m in run.items():
        yield (
            f"method {name}",
            f"{m.objective} by {m.optimiser}, {len(m.free)} free ({', '.join(m.free)}), "
            f"{counted(m.max_iterations, 'iteration')} at most, {counted(m.starts, 'start')}",
        )
    scenario = config.scenarios[config.scenario]
    if scenario.studies:
        yield "studies", ", ".join(scenario.studies)
    if scenario.contaminate is not None:
        c = scenario.contaminate
        yield "contaminated", f"{c.fraction:g} of the tracks of {c.wanted} by {c.species} of the sample {c.sample}"
    if scenario.perturb:
        yield "perturbed", ", then ".join(step.kind for step in scenario.perturb)
    s = config.simulate
    yield "computing", f"{s.accuracy} accuracy, {s.dtype}, device {s.device}, {counted(s.threads, 'thread')}"


def _generated(sample: Sample, geometry: DetectorGeometry | GradcalError) -> str:
    """The generator in words: `muon_1gev by argon: 100 events of 10 particles`."""
    generator = sample.generator
    source = generator.dlp_file or generator.name
    if isinstance(geometry, GradcalError):
        return f"{source} by {sample.engine}"
    try:
        written_out = expanded(generator, geometry)
    except GradcalError:
        return f"{source} by {sample.engine}; see below"
    least, most = particles_in(written_out)
    number = counted(most, "particle") if least == most else f"{least} to {counted(most, 'particle')}"
    return f"{source} by {sample.engine}: {counted(written_out.events or 0, 'event')} of {number}"


def _targets(config: Config) -> str:
    try:
        names = list(target_values(config))
    except GradcalError:
        return "see below"
    return f"{len(names)}: {', '.join(names)}"


def _shown(value: object) -> str:
    return "/".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


def _method(method: Method, name: str) -> Iterator[Finding]:
    for parameter, value in {**method.initial, **method.fixed}.items():
        p = lookup(parameter, name)
        if math.isfinite(value) and not p.low <= value <= p.high:
            text = (
                f"methods.{name}: {parameter} = {value:g} lies outside the range {p.low:g} to {p.high:g} of the table."
            )
            yield Finding("note", "range", text)


def _ranges(config: Config) -> Iterator[Finding]:
    for target, values in config.targets.named.items():
        for parameter, value in values.items():
            p = lookup(parameter, target)
            if not p.low <= value <= p.high:
                text = (
                    f"targets.named.{target}: {parameter} = {value:g} lies outside the range {p.low:g} to {p.high:g}."
                )
                yield Finding("note", "range", text)


def _cuts(config: Config) -> Iterator[Finding]:
    s = config.select
    off = [cut for cut in _CUTS[1:] if getattr(s, cut) is None]
    if off:
        yield Finding("note", "cuts_off", f"{', '.join(f'select.{cut}' for cut in off)}: switched off.")
    anode, margin = s.max_anode_distance_cm, s.track_anode_margin_cm
    if anode is not None and margin is not None and anode <= margin:
        text = (
            f"select.max_anode_distance_cm = {anode:g} keeps what is nearer to the anode than "
            f"select.track_anode_margin_cm = {margin:g} drops: nothing will be left."
        )
        yield Finding("warning", "cuts_exclude", text)
    if s.max_total_length_cm is not None and s.min_track_length_cm is not None:
        if s.max_total_length_cm <= s.min_track_length_cm:
            text = "select.max_total_length_cm is not above select.min_track_length_cm: no track will fit."
            yield Finding("warning", "cuts_exclude", text)
        elif s.max_total_length_cm < 50:
            text = f"select.max_total_length_cm: {s.max_total_length_cm:g} cm of track may be too little for a fit."
            yield Finding("note", "little_track", text)


def _recorded(config: Config) -> Iterator[Finding]:
    """What does not fit hits that were recorded elsewhere, of whole tracks."""
    if measured(config) and config.select.max_anode_distance_cm is not None:
        text = (
            "select.max_anode_distance_cm cuts through tracks, and the hits of `data` are of whole ones: pixels at the "
            "cut have charge of both sides; set it to null."
        )
        yield Finding("warning", "cuts_tear", text)


def _noise(config: Config, method: Method, name: str) -> Iterator[Finding]:
    """Whether a method expects the noise that simulated data have."""
    if method.objective in LIKELIHOODS and not config.readout.noise.enabled:
        text = f"methods.{name}: a likelihood of noise, and data without noise (readout.noise.enabled is false)."
        yield Finding("warning", "no_noise", text)
    if config.readout.noise.enabled and not method.for_noise:
        text = f"methods.{name}: knows of no noise, but the data have it: hits near the threshold bias the fit."
        yield Finding("note", "noise_not_known", text)


def _unused(config: Config) -> Iterator[Finding]:
    """Settings that the chosen scenario passes over."""
    defaults = Config()
    other = [name for name in config.methods if name not in methods(config) and name not in defaults.methods]
    if other:
        text = f"methods {', '.join(other)}: not run, as scenarios.{config.scenario}.methods does not name them."
        yield Finding("note", "unused", text)
    for name in methods(config):
        method, plain = config.known_methods[name], Method()
        for setting, used, by in (
            ("loss", method.objective != "matched_residuals", "a loss"),
            ("min_charge_electrons", method.objective == "matched_residuals", "the objective matched_residuals"),
            ("reset_noise_electrons", method.objective == "matched_residuals", "the objective matched_residuals"),
            ("adam", method.optimiser == "adam", "the optimiser adam"),
            ("tolerance", method.optimiser == "levenberg_marquardt", "levenberg_marquardt"),
        ):
            if not used and getattr(method, setting) != getattr(plain, setting):
                yield Finding("note", "unused", f"methods.{name}.{setting}: not used; it is for {by}.")
    noise = config.readout.noise
    widths = noise.model_copy(update={"enabled": True})
    if not (noise.enabled or any(config.known_methods[name].for_noise for name in methods(config))) and (
        widths != defaults.readout.noise
    ):
        yield Finding("note", "unused", "readout.noise: its widths are not used, as readout.noise.enabled is false.")
    for name, sample in samples(config).items():
        for key in ("engine", "generator", "transport"):
            if sample.file is not None and getattr(sample, key) != getattr(defaults.sample, key):
                yield Finding("note", "unused", f"{name}.{key}: not used, as {name}.file is given.")
