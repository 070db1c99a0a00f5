"""What a fit came to, and what is wrong or suspicious in it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..errors import ConfigError
from ..parameters import Parameter, check_values, table
from ..rounding import measured
from ..tables import FitResult, FittedParameter
from .findings import Finding, Summary, counted, in_order
from .pulls import pull
from .trust import UNMATCHED, Facts, judge, remarks

#: Relative differences to a known target that are worth a word, and that are far beyond what noise does.
OFF_TARGET, FAR_OFF_TARGET = 0.01, 0.1
#: Standard deviations of a known target that are worth a word.
OFF_SIGMAS = 4.0
#: Ratios of the largest to the smallest curvature above which values hang together or are not held at all.
CORRELATED, UNDETERMINED = 1e5, 1e10


def summarise(result: FitResult, provenance: tuple[tuple[str, str], ...] = (), facts: Facts | None = None) -> Summary:
    """What a fit came to and what there is to say against it; `result` as read, from HDF5 or the short JSON.

    `facts` are what its record tells, None where there is no record, as in the JSON.
    """
    found = [*_outcome(result), *_history(result), *_diagnostics(result)]
    for p in result.parameters:
        found += _value(p)
    # The fit's own remarks on ranges are said above, with their numbers.
    found += [Finding("warning", "remark", text) for text in remarks(result)]
    return Summary("fit", (*_facts(result, facts), *provenance), in_order(found))


def _facts(r: FitResult, facts: Facts | None) -> Iterator[tuple[str, str]]:
    if r.method:
        yield "method", r.method
    yield "status", r.status
    yield "converged", "yes" if r.converged else "no"
    trust = judge(r, facts or Facts())
    if facts is not None or trust.verdict == "bad":
        yield "trust", trust.sentence
    else:
        yield "trust", "what speaks for it stands in the HDF5 file of the fit: check that"
    yield "iterations", f"{r.iterations}"
    for p in r.parameters:
        if p.free:
            yield p.name, _parameter(p)
    fixed = ", ".join(f"{p.name} {p.value:.6g}" for p in r.parameters if not p.free)
    if fixed:
        yield "held fixed", fixed
    for name, label in (
        ("objective", "objective"),
        ("hits_used", "hits matched"),
        ("unmatched_fraction", "hits unmatched"),
        ("condition_number", "condition number"),
        ("starts", "starts"),
        ("position_rms_um", "distance of tracks to the true ones, rms [um]"),
    ):
        if name in r.diagnostics:
            value = r.diagnostics[name]
            yield label, f"{100 * value:.3g} %" if name == "unmatched_fraction" else f"{value:.6g}"


def _parameter(p: FittedParameter) -> str:
    unit = f" {p.unit}" if p.unit else ""
    text = f"{measured(p.value, p.uncertainty, 8)}{unit} from {p.initial:.6g}"
    if p.target is None:
        return f"{text}; target unknown"
    sigmas = pull(p)
    pulled = "" if sigmas is None else f", pull {sigmas:+.2f}"
    off = f" ({100 * (p.value / p.target - 1):+.2g} %{pulled})" if p.target else ""
    return f"{text}; target {p.target:.8g}{off}"


def _outcome(r: FitResult) -> Iterator[Finding]:
    if not r.parameters:
        yield Finding("error", "no_parameters", "there is no parameter in it: fit again.")
    elif not any(p.free for p in r.parameters):
        yield Finding("warning", "nothing_free", "no parameter was free: nothing was fitted.")
    if not r.converged:
        yield Finding("warning", "not_converged", f"it did not converge, do not use its values: {r.status}")


def _value(p: FittedParameter) -> Iterator[Finding]:
    for name, value in (("value", p.value), ("start value", p.initial)):
        if not math.isfinite(value):
            yield Finding("error", "not_finite", f"the {name} of {p.name} is {value}; fit again from other values.")
    if not math.isfinite(p.value):
        return
    known = table().get(p.name)
    if known is None:
        yield Finding("warning", "unknown", f"{p.name} is no parameter of this program; its range is not known.")
    else:
        yield from _place(p, known)
    if p.uncertainty is not None and not p.uncertainty > 0:
        yield Finding(
            "warning", "uncertainty", f"the uncertainty of {p.name} is {p.uncertainty:g}; it must be above 0."
        )
    if p.free and p.target:
        yield from _distance(p, p.target)


def _place(p: FittedParameter, known: Parameter) -> Iterator[Finding]:
    """Where a value stands in the physical bounds and in the range of the table."""
    if p.unit != known.unit:
        text = f"{p.name} is in {p.unit or 'no unit'}, the table has {known.unit or 'no unit'}; do not compare them."
        yield Finding("warning", "unit", text)
    try:
        check_values({p.name: p.value}, "parameters")
    except ConfigError as error:
        yield Finding("error", "not_physical", str(error).removeprefix("parameters: "))
        return
    edges = [edge for edge in (known.minimum, known.maximum) if math.isfinite(edge)]
    scale = abs(known.nominal) or known.high - known.low
    bound = next((edge for edge in edges if abs(p.value - edge) < 1e-4 * scale), None)
    unit = f" {p.unit}" if p.unit else ""
    if bound is not None and p.free:
        text = (
            f"{p.name} is pinned at its physical bound {bound:g}{unit}: the data want it beyond, or say nothing of it."
        )
        yield Finding("warning", "pinned", text)
    elif not known.low <= p.value <= known.high:
        text = f"{p.name} = {p.value:.6g}{unit} lies outside the range {known.low:g} to {known.high:g} of the table."
        yield Finding("warning" if p.free else "note", "range", text)
    if p.free and p.value == p.initial:
        yield Finding("note", "not_moved", f"{p.name} did not move from its start value {p.initial:g}{unit}.")


def _distance(p: FittedParameter, target: float) -> Iterator[Finding]:
    off = p.value / target - 1
    sigmas = pull(p)
    if sigmas is not None:
        if abs(sigmas) > OFF_SIGMAS:
            text = f"{p.name} is {abs(sigmas):.3g} standard deviations ({100 * off:+.2g} %) off its target."
            yield Finding("warning", "off_target", text)
        return
    if abs(off) > OFF_TARGET:
        text = f"{p.name} is {100 * off:+.3g} % off its target {target:.6g}."
        yield Finding("warning" if abs(off) > FAR_OFF_TARGET else "note", "off_target", text)


def _history(r: FitResult) -> Iterator[Finding]:
    """Histories of unequal lengths, with numbers that are not finite, or that end elsewhere than the result."""
    shapes = {name: np.shape(values) for name, values in r.history.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        text = "the entries of its history are of unequal lengths; the page refuses it, fit again."
        yield Finding("error", "history", text)
        return
    for name, values in r.history.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            yield Finding(
                "warning",
                "history_not_finite",
                f"the history of {name} is {values[bad[0]]} after iteration {bad[0]} "
                f"({counted(len(bad), 'such value')}); curves will have gaps.",
            )
    # The result of a fit by small steps is a mean over its last iterations.
    averaged = max(int(r.diagnostics.get("averaged_iterations", 1)), 1)
    for p in r.parameters:
        history = r.history.get(p.name, ())
        last = float(np.mean(history[-averaged:])) if len(history) else p.value
        if p.free and not math.isclose(last, p.value, rel_tol=1e-9):
            text = f"{p.name} is {p.value:.8g}, but its history ends at {last:.8g}: which of the two holds?"
            yield Finding("note", "history_end", text)


def _diagnostics(r: FitResult) -> Iterator[Finding]:
    d = r.diagnostics
    fraction = d.get("unmatched_fraction", 0.0)
    if fraction > UNMATCHED:
        text = f"{100 * fraction:.3g} % of the hits have no partner; the fit says nothing about them."
        yield Finding("warning", "unmatched", text)
    condition = d.get("condition_number", 1.0)
    if condition > UNDETERMINED:
        text = f"the condition number is {condition:.3g}: the data do not hold all parameters; fix one of them."
        yield Finding("warning", "condition", text)
    elif condition > CORRELATED:
        text = f"the condition number is {condition:.3g}: some parameters can hardly be told apart."
        yield Finding("note", "condition", text)
    if 1 < d.get("starts", 1.0) > d.get("starts_converged", 1.0):
        text = f"{d['starts'] - d['starts_converged']:.0f} of {d['starts']:.0f} starts did not converge."
        yield Finding("note", "starts", text)
