"""One file looked at: its kind, its summary, and what of it can be drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.load import examine_config
from ..config.models import Config
from ..config.problems import describe_all
from ..detector.geometry import DetectorGeometry, geometry_from_mapping
from ..errors import GradcalError
from ..storage.detector import load_geometry
from ..storage.fit import read_fit, read_fit_summary
from ..storage.hdf5 import open_hdf5
from ..storage.hits import examine_hits, read_hits_noise, read_hits_truth
from ..storage.kind import Kind, kind_of
from ..storage.pixels import load_pixels
from ..storage.provenance import read_provenance
from ..storage.segments import examine_segments
from ..storage.yaml_text import YamlText
from ..tables import Hits, Segments
from . import fits, hits, segments, settings
from .findings import Finding, Summary, in_order, quiet, without
from .trust import Facts, facts_of


@dataclass(frozen=True)
class Look:
    """What was found in a file; `table` is what can be drawn of it."""

    summary: Summary
    table: Segments | Hits | None = None


def look(path: Path, config: Config, geometry: DetectorGeometry) -> Look:
    """Look at a file of any kind; whatever is wrong with it becomes a finding, never an exception.

    `config` holds the settings of the checks, `geometry` the detector that segments and hits are held against.
    """
    kind: Kind | None = None
    try:
        kind, text = kind_of(path)
        with quiet():
            return _look(path, kind, text, config, geometry)
    except GradcalError as error:
        return _refused(kind, without(str(path), str(error)))
    except MemoryError:
        return _refused(kind, "what it says of its size does not fit into the memory: damaged? Make it again.")
    except OSError as error:
        return _refused(kind, f"it cannot be read ({(error.strerror or str(error)).lower()}).")
    except Exception as error:  # whatever is in a file, it is the file's fault here
        reason = (str(error).strip().splitlines() or [""])[0][:120]
        return _refused(kind, f"it cannot be made sense of ({type(error).__name__}: {reason}): damaged? Make it again.")


def _look(path: Path, kind: Kind, text: YamlText | None, config: Config, geometry: DetectorGeometry) -> Look:
    if kind == "segments":
        return _segments(path, config, geometry)
    if kind == "hits":
        return _hits(path, config, geometry)
    if kind == "fit":
        return Look(_fit(path))
    if kind == "summary":
        return Look(fits.summarise(read_fit_summary(path)))
    assert text is not None
    return Look(_detector(text) if kind == "detector" else _config(text, kind))


def _refused(kind: Kind | None, sentence: str) -> Look:
    return Look(Summary(kind or "unknown", (), (Finding("error", "unreadable", sentence),)))


def _segments(path: Path, config: Config, geometry: DetectorGeometry) -> Look:
    raw = examine_segments(
        path,
        drift_axis=geometry.drift_axis,
        sensitive_detectors=config.sample.sensitive_detectors,
        event_number=config.sample.event_number,
    )
    made, doubts = _provenance(path) if raw.entries is None else ((), ())
    summary = segments.summarise(
        raw,
        str(path),
        checks=config.checks,
        geometry=geometry,
        late=config.select.max_delay_us,
        provenance=made,
    )
    return Look(_more(summary, doubts), raw.segments)


def _hits(path: Path, config: Config, geometry: DetectorGeometry) -> Look:
    raw = examine_hits(path)
    truth = read_hits_truth(path)
    made, doubts = _provenance(path)
    noise = None if doubts else read_hits_noise(path)
    pixels = load_pixels(config.readout.pixels, geometry)
    summary = hits.summarise(
        raw, str(path), geometry=geometry, pixels=pixels, truth=truth, noise=noise, provenance=made
    )
    # A fit reads there whether the hits have noise.
    summary = _more(summary, tuple(Finding("error", doubt.rule, doubt.text) for doubt in doubts))
    return Look(summary, None if raw.absent.intersection(("x", "y", "z", "charge")) else raw.hits)


def _fit(path: Path) -> Summary:
    result = read_fit(path)
    made, doubts = _provenance(path)
    summary = _more(fits.summarise(result, made, Facts() if doubts else _facts(path)), doubts)
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return summary
    try:
        short = {p.name: p.value for p in read_fit_summary(beside).parameters}
        free = {p.name: p.value for p in result.parameters if p.free}
        same = short.keys() == free.keys() and all(math.isclose(short[n], v, rel_tol=1e-12) for n, v in free.items())
        wrong = None if same else f"{beside.name} beside it has other values: one of the two is not of this fit."
    except GradcalError as error:
        wrong = str(error)
    return summary if wrong is None else _more(summary, (Finding("warning", "beside", wrong),))


def _facts(path: Path) -> Facts:
    """What the record of a fit tells of its data."""
    with open_hdf5(path) as file:
        return facts_of(read_provenance(file))


def _more(summary: Summary, findings: tuple[Finding, ...]) -> Summary:
    return Summary(summary.kind, summary.facts, in_order((*summary.findings, *findings)))


def _config(text: YamlText, kind: Kind) -> Summary:
    config, mistakes = examine_config(text)
    if config is None:
        found = [Finding("error", "setting", _placed(mistake, text)) for mistake in mistakes]
        return Summary(
            "configuration", (("settings", f"{len(text.content)} sections or settings given"),), tuple(found)
        )
    geometry: DetectorGeometry | GradcalError
    try:
        geometry = load_geometry(config.detector.file)
    except GradcalError as error:
        geometry = error
    summary = settings.summarise(config, geometry)
    return Summary("configuration of a run" if kind == "record" else summary.kind, summary.facts, summary.findings)


def _placed(mistake: str, text: YamlText) -> str:
    """A mistake without the name of the file, which is known; the line stays."""
    return without(text.origin, mistake).rstrip(".") + "."


def _detector(text: YamlText) -> Summary:
    from pydantic import ValidationError

    try:
        g = geometry_from_mapping(text.content)
    except ValidationError as error:
        mistakes = describe_all(error, DetectorGeometry, text.place)
        return Summary("detector", (), tuple(Finding("error", "setting", _placed(m, text)) for m in mistakes))
    (x0, x1), (y0, y1) = g.x_range, g.y_range
    facts = (
        ("name", g.name),
        (
            "pixel plane",
            f"x {x0:g} to {x1:g}, y {y0:g} to {y1:g} cm; {g.pixels[0]} x {g.pixels[1]} of {g.pixel_pitch:g} cm",
        ),
        *((f"tpc {t.tpc}", f"anode at z = {t.z_anode:g}, cathode at {t.z_cathode:g} cm") for t in g.tpcs),
        ("drift", f"along {g.drift_axis} of the edep-sim frame, at {g.temperature:g} K"),
        ("readout", f"threshold {g.readout.threshold:g} electrons, hold {g.readout.hold:g} us"),
    )
    return Summary("detector", facts, ())


def _provenance(path: Path) -> tuple[tuple[tuple[str, str], ...], tuple[Finding, ...]]:
    """Where a file comes from, in words, and a warning where that cannot be read."""
    try:
        with open_hdf5(path) as file:
            found: dict[str, Any] = read_provenance(file)
    except GradcalError:
        text = "the record of what made it cannot be read: damaged? Make it again."
        return (("made by", "the record cannot be read"),), (Finding("warning", "provenance", text),)
    if not found:
        return (("made by", "not by gradcal: the file does not tell"),), ()
    made = f"gradcal {found.get('stage', '?')}, version {found.get('gradcal_version', '?')}, "
    made += f"code {found.get('code_hash', '?')[:12]}, settings {found.get('config_hash', '?')[:12]}"
    inputs = ", ".join(f"{name} {str(digest)[:12]}" for name, digest in found["inputs"].items())
    return (("made by", made), ("made from", inputs or "no file")), ()
