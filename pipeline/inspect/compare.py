"""Two results held against each other: fits, hits, segments, configurations, or folders of fits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..calibrate.residuals import match, residuals
from ..config.load import load_config
from ..errors import FileFormatError
from ..rounding import measured
from ..storage.fit import read_fit, read_fit_summary
from ..storage.hdf5 import open_hdf5
from ..storage.hits import read_hits, read_hits_truth
from ..storage.kind import kind_of
from ..storage.provenance import file_hash, read_provenance
from ..storage.segments import examine_segments
from ..storage.timings import seconds_of
from ..tables import FitResult, FittedParameter, Hits, Ints, Observables, Segments, common_numbers
from .findings import counted, quiet

#: Settings that differ are listed up to this many.
_MOST_LINES = 25


@dataclass(frozen=True)
class Outcome:
    """What came of a comparison: what was compared, whether nothing differs, one sentence, and blocks of lines."""

    kind: str
    same: bool
    sentence: str
    blocks: tuple[tuple[str, tuple[str, ...]], ...] = ()


def compare(a: Path, b: Path) -> Outcome:
    """Compare two files of one kind, or two folders of results; raises `GradcalError` for what cannot be read."""
    with quiet():
        return _folders(a, b) if a.is_dir() and b.is_dir() else _files(a, b)


def _files(a: Path, b: Path) -> Outcome:
    kinds = [kind_of(path)[0] for path in (a, b)]
    of_fits = all(kind in ("fit", "summary") for kind in kinds)
    if kinds[0] != kinds[1] and not of_fits:
        raise FileFormatError(f"{a} is a file of {kinds[0]} and {b} one of {kinds[1]}; compare two of a kind.")
    if kinds[0] == kinds[1] and file_hash(a) == file_hash(b):
        return Outcome(kinds[0], True, "the same, byte for byte")
    if of_fits:
        return _fits(a, b)
    if kinds[0] in ("hits", "segments"):
        return _hits(a, b) if kinds[0] == "hits" else _segments(a, b)
    if kinds[0] == "configuration":
        return _settled("configuration", [("settings", tuple(_settings(a, b)))])
    raise FileFormatError(f"{a} and {b} are of the kind {kinds[0]}, of which no two can be compared.")


def _settled(kind: str, blocks: list[tuple[str, tuple[str, ...]]], numbers_same: bool = True) -> Outcome:
    """The outcome of a comparison whose blocks hold one line per difference."""
    kept = tuple((title, lines) for title, lines in blocks if lines)
    if not kept:
        return Outcome(kind, True, "the same in everything that is compared")
    if numbers_same and kind != "configuration":
        return Outcome(kind, False, "the same numbers, made differently", kept)
    return Outcome(kind, False, "they differ", kept)


def _settings(a: Path, b: Path) -> Iterator[str]:
    one, other = (load_config(path).model_dump(mode="json") for path in (a, b))
    yield from changed(one, other)


def changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """A line for every setting, by its dotted name, in which two nested mappings differ."""
    one, other = dict(_flat(a)), dict(_flat(b))
    lines = [
        f"{name}: {one.get(name, '(not there)')} | {other.get(name, '(not there)')}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name, "(not there)") != other.get(name, "(not there)")
    ]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more"]
    return lines


def _flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", str(value)


def _origin(a: Path, b: Path) -> list[tuple[str, tuple[str, ...]]]:
    """What made two HDF5 files: settings, inputs and code that differ."""
    one, other = (_provenance(path) for path in (a, b))
    if not one or not other:
        return []
    inputs = [
        f"{name}: {_short(one['inputs'].get(name))} | {_short(other['inputs'].get(name))}"
        for name in sorted(one["inputs"].keys() | other["inputs"].keys())
        if one["inputs"].get(name) != other["inputs"].get(name)
    ]
    code = [
        f"{label}: {_short(one.get(name))} | {_short(other.get(name))}"
        for name, label in (("stage", "command"), ("gradcal_version", "version"), ("code_hash", "code"))
        if one.get(name) != other.get(name)
    ]
    settings = changed(_method_bare(one["config"]), _method_bare(other["config"]))
    return [("settings", tuple(settings)), ("inputs", tuple(inputs)), ("program", tuple(code))]


def _provenance(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        hdf5 = stream.read(4) == b"\x89HDF"
    if not hdf5:
        return {}
    with open_hdf5(path) as file:
        return read_provenance(file)


def _method_bare(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a fit without the name of its method, so that two methods are compared setting by setting."""
    method = config.get("method")
    if isinstance(method, dict) and len(method) == 1 and isinstance(inner := next(iter(method.values())), dict):
        return {**config, "method": {"name": next(iter(method)), **inner}}
    return dict(config)


def _short(text: object) -> str:
    return "(not there)" if text is None else str(text)[:12]


def _fits(a: Path, b: Path) -> Outcome:
    one, other = (read_fit(p) if kind_of(p)[0] == "fit" else read_fit_summary(p) for p in (a, b))
    rows, numbers_same = parameter_rows(one, other)
    outcome = [
        f"{label}: {x} | {y}"
        for label, x, y in (
            ("status", one.status, other.status),
            ("converged", one.converged, other.converged),
            ("method", one.method or "(not told)", other.method or "(not told)"),
            ("iterations", one.iterations, other.iterations),
        )
        if x != y and "(not told)" not in (x, y)
    ]
    if one.diagnostics and other.diagnostics:
        for name in sorted(one.diagnostics.keys() | other.diagnostics.keys()):
            x, y = (fit.diagnostics.get(name, math.nan) for fit in (one, other))
            if x != y and not (math.isnan(x) and math.isnan(y)):
                told = ("(not there)" if math.isnan(value) else f"{value:.6g}" for value in (x, y))
                outcome.append(f"{name}: {' | '.join(told)}")
    found = _settled("fit", [*_origin(a, b), ("outcome", tuple(outcome)), ("parameters", tuple(rows))], numbers_same)
    # How long it took is no difference of the results.
    took = [f"{seconds:.3g}" for path in (a, b) if (seconds := seconds_of(path)) is not None]
    if found.same or len(took) < 2:
        return found
    return Outcome(found.kind, found.same, found.sentence, (*found.blocks, ("seconds", (" | ".join(took),))))


def parameter_rows(a: FitResult, b: FitResult) -> tuple[list[str], bool]:
    """A table of parameters as lines, empty if all agree, and whether all values do.

    Columns: values of both, difference, in per cent, and in standard deviations where either has an uncertainty.
    """
    one, other = ({p.name: p for p in fit.parameters} for fit in (a, b))
    names = [*one, *(name for name in other if name not in one)]
    rows: list[tuple[str, ...]] = [("", "A", "B", "B - A", "%", "sigma", "")]
    same = True
    for name in names:
        x, y = one.get(name), other.get(name)
        if x is None or y is None:
            there, side = (x, "A") if x is not None else (y, "B")
            assert there is not None
            values = (_value(there), "-") if side == "A" else ("-", _value(there))
            rows.append((name, *values, "", "", "", f"only in {side}"))
            same &= not there.free
            continue
        same &= x.value == y.value
        held = "" if x.free == y.free else f"free in {'A' if x.free else 'B'} only"
        per_cent = f"{100 * (y.value / x.value - 1):+.2g}" if x.value else "-"
        numbers = (_value(x), _value(y), f"{y.value - x.value:+.3g}", per_cent, _sigmas(x, y))
        rows.append((name, *numbers, " ".join(part for part in (x.unit, held) if part)))
    differ = not same or any("only" in row[-1] for row in rows)
    return (_columns(rows) if differ else []), same


def _value(p: FittedParameter) -> str:
    """With its uncertainty where it has one."""
    return measured(p.value, p.uncertainty, 8)


def _sigmas(a: FittedParameter, b: FittedParameter) -> str:
    """The difference in standard deviations: of both together, or of the one that is known."""
    width = math.hypot(a.uncertainty or 0.0, b.uncertainty or 0.0)
    return f"{(b.value - a.value) / width:+.2g}" if width else "-"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(width) if i in (0, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def _hits(a: Path, b: Path) -> Outcome:
    one, other = read_hits(a), read_hits(b)
    truth = changed(read_hits_truth(a), read_hits_truth(b))
    if one.drift_velocity != other.drift_velocity:
        truth.append(f"drift velocity: {one.drift_velocity:.8g} | {other.drift_velocity:.8g} cm/us")
    x, y = _observables(one, other)
    lines, same = _matched(x, y, "hit", ("adc", "t", "charge"), ("counts", "us", "electrons"), _hit_name(one))
    times = sorted(n for n in one.event_t0.keys() & other.event_t0.keys() if one.event_t0[n] != other.event_t0[n])
    if times:
        lines.append(f"{counted(len(times), 'event')} start at another time, first event {times[0]}")
    blocks = [*_origin(a, b), ("true values", tuple(truth)), ("hits", tuple(lines))]
    return _settled("hits", blocks, same and not times)


def _hit_name(hits: Hits) -> list[str]:
    names = zip(hits.event_id, hits.tpc, hits.pixel_x, hits.pixel_y, hits.hit)
    return [f"event {e}, tpc {t}, pixel ({x}, {y}), hit {n}" for e, t, x, y, n in names]


def _observables(a: Hits, b: Hits) -> tuple[Observables, Observables]:
    """Both tables with one numbering of pixels, whatever the detector."""
    pixels = [np.stack([h.tpc, h.pixel_x, h.pixel_y], axis=1) for h in (a, b)]
    channels = common_numbers(*pixels)
    return tuple(  # type: ignore[return-value]
        Observables(
            h.event_id,
            channel.astype(np.int64),
            h.hit,
            np.stack([h.adc, h.t, h.charge], axis=1),
            ("adc", "t", "charge"),
            np.ones(len(h), dtype=np.bool_),
        )
        for h, channel in zip((a, b), channels)
    )


def _matched(
    a: Observables, b: Observables, thing: str, names: tuple[str, ...], units: tuple[str, ...], label: list[str]
) -> tuple[list[str], bool]:
    """Lines on how many of both have a partner and how far those are apart, empty if nothing differs."""
    pairs = match(a, b)
    apart = np.abs(residuals(b, a, type(pairs)(pairs.data, pairs.model, 0, 0)))
    if not pairs.unmatched_model and not pairs.unmatched_data and not np.any(apart):
        return [], True
    lines = [
        f"{counted(len(pairs.model), thing)} in both, {pairs.unmatched_model:,} only in A, "
        f"{pairs.unmatched_data:,} only in B"
    ]
    for i, (name, unit) in enumerate(zip(names, units)):
        values = apart[:, i] if len(apart) else np.zeros(0)
        if np.any(values):
            worst = int(np.argmax(values))
            lines.append(
                f"{name}: {np.count_nonzero(values):,} differ, rms {np.sqrt(np.mean(values**2)):.3g}, at most "
                f"{values[worst]:.3g} {unit} ({label[pairs.model[worst]]})"
            )
    if len(lines) == 1 and len(apart):
        lines.append("those in both are the same")
    return lines, False


_SEGMENT_VALUES = {"dE": "MeV", "dx": "cm", "dEdx": "MeV/cm", "t0": "us", "pdg_id": ""}


def _segments(a: Path, b: Path) -> Outcome:
    tables = []
    for path in (a, b):
        raw = examine_segments(path)
        if raw.faults:
            raise FileFormatError(raw.faults[0])
        tables.append(raw.segments)
    one, other = tables
    values = {**_SEGMENT_VALUES, **{f"{axis} of {end}": "cm" for end in ("start", "end") for axis in "zyx"}}
    label = [f"event {e}, track {t}, row {row}" for row, (e, t) in enumerate(zip(one.event_id, one.traj_id))]
    x, y = _numbered_alike(one, other)
    lines, same = _matched(x, y, "segment", tuple(values), tuple(values.values()), label)
    if not same:
        for what, p, q in (
            ("events", len(np.unique(one.event_id)), len(np.unique(other.event_id))),
            ("length [cm]", round(float(one.length.sum()), 3), round(float(other.length.sum()), 3)),
            ("energy [MeV]", round(float(one.dE.sum()), 3), round(float(other.dE.sum()), 3)),
        ):
            if p != q:
                lines.append(f"{what}: {p} | {q}")
    return _settled("segments", [*_origin(a, b), ("segments", tuple(lines))], same)


def _numbered_alike(a: Segments, b: Segments) -> tuple[Observables, Observables]:
    """Segments by event, track and number: `segment_id` where it tells them apart and pairs as many, else the place in
    the track, as the numbers of other programs count from anywhere."""
    by_place = _segment_observables(a, _places(a)), _segment_observables(b, _places(b))
    keys = [np.stack([s.event_id, s.traj_id, s.segment_id], axis=1) for s in (a, b)]
    if any(len(np.unique(key, axis=0)) < len(key) for key in keys):
        return by_place
    by_number = _segment_observables(a, a.segment_id), _segment_observables(b, b.segment_id)
    pairs = [len(match(*both).model) for both in (by_number, by_place)]
    return by_number if pairs[0] >= pairs[1] else by_place


def _places(s: Segments) -> Ints:
    """`(n,)` place of each segment in its track, in the order of the file."""
    track = s.track_index()
    order = np.argsort(track, kind="stable")
    begin = np.searchsorted(track[order], track[order])
    place: Ints = np.empty(len(s), dtype=np.int64)
    place[order] = np.arange(len(s)) - begin
    return place


def _segment_observables(s: Segments, number: Ints) -> Observables:
    """Segments by event, track and `number`; positions in the file's axes."""
    columns = [getattr(s, name).astype(np.float64) for name in _SEGMENT_VALUES]
    # Tables have x and z exchanged; the names of the values are those of the file.
    columns += [points[:, i] for points in (s.start, s.end) for i in (0, 1, 2)]
    return Observables(
        s.event_id,
        s.traj_id,
        number,
        np.stack(columns, axis=1),
        (*_SEGMENT_VALUES,),
        np.ones(len(s), dtype=np.bool_),
    )


def _folders(a: Path, b: Path) -> Outcome:
    """All fits of two folders, matched by their path in them: target and method, scenario and sample too if given."""
    one, other = ({str(path.parent.relative_to(folder)): path for path in folder.rglob("fit.h5")} for folder in (a, b))
    for folder, found in ((a, one), (b, other)):
        if not found:
            raise FileFormatError(f"{folder} holds no fit.h5; give a folder of results, or two files.")
    blocks: list[tuple[str, tuple[str, ...]]] = []
    same = 0
    both = sorted(one.keys() & other.keys())
    for name in both:
        pair = _files(one[name], other[name])
        same += pair.same
        if not pair.same:
            lines = [line for title, block in pair.blocks for line in (f"{title}:", *(f"  {row}" for row in block))]
            blocks.append((f"{name}: {pair.sentence}", tuple(lines)))
    alone = [f"{name} only in A" for name in sorted(one.keys() - other.keys())]
    alone += [f"{name} only in B" for name in sorted(other.keys() - one.keys())]
    if alone:
        blocks.append(("without a partner", tuple(alone)))
    if not blocks:
        return Outcome("results", True, f"the same: {counted(len(both), 'fit')}")
    return Outcome("results", False, f"{same} of {counted(len(both), 'fit')} in both are the same", tuple(blocks))
