"""A fit is described as it is, and what speaks against its values is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.inspect.findings import Summary
from pipeline.inspect.fits import summarise
from pipeline.inspect.trust import Facts
from pipeline.tables import FitResult

from ..report.samples import fit_result


def with_value(result: FitResult, number: int, **fields: object) -> FitResult:
    parameters = list(result.parameters)
    parameters[number] = replace(parameters[number], **fields)  # type: ignore[arg-type]
    return replace(result, parameters=tuple(parameters))


def rules(summary: Summary) -> set[str]:
    return {f.rule for f in summary.findings}


def test_a_good_fit_has_no_fault() -> None:
    summary = summarise(fit_result(), facts=Facts(noisy=False))
    assert summary.findings == ()
    facts = dict(summary.facts)
    assert facts["converged"] == "yes" and facts["trust"].startswith("These values can be used")
    assert facts["birks_ab"].count("target") == 1


CASES = {
    "not converged": (fit_result(converged=False, status="Stopped."), "not_converged", "warning", "Stopped."),
    "not a number": (with_value(fit_result(), 1, value=np.nan), "not_finite", "error", "birks_kb is nan"),
    "not physical": (with_value(fit_result(), 0, value=-0.2), "not_physical", "error", "birks_ab = -0.2"),
    "pinned": (with_value(fit_result(), 1, value=1e-9), "pinned", "warning", "bound 0"),
    "out of range": (with_value(fit_result(), 0, value=0.95), "range", "warning", "0.78 to 0.88"),
    "off target": (with_value(fit_result(), 0, target=0.85, value=0.83), "off_target", "note", "-2.35 %"),
    "far off": (with_value(fit_result(), 3, target=2000.0, value=3000.0), "off_target", "warning", "+50 %"),
    "sigmas": (
        with_value(fit_result(), 0, target=0.85, value=0.83, uncertainty=0.002), "off_target", "warning", "10 standard",
    ),
    "unit": (with_value(fit_result(), 2, unit="V/cm"), "unit", "warning", "V/cm"),
    "unknown": (with_value(fit_result(), 2, name="gain"), "unknown", "warning", "gain"),
    "unmatched": (replace(fit_result(), diagnostics={"unmatched_fraction": 0.3}), "unmatched", "warning", "30 %"),
    "condition": (replace(fit_result(), diagnostics={"condition_number": 1e12}), "condition", "warning", "1e+12"),
    "starts": (replace(fit_result(), diagnostics={"starts": 3.0, "starts_converged": 1.0}), "starts", "note", "2 of 3"),
    "uneven": (replace(fit_result(), history={"a": np.ones(3), "b": np.ones(4)}), "history", "error", "unequal"),
    "infinite": (
        replace(fit_result(), history={"objective": np.array([1.0, np.inf])}), "history_not_finite", "warning",
        "after iteration 1",
    ),
    "history end": (replace(fit_result(), history={"birks_ab": np.ones(3)}), "history_end", "note", "ends at 1"),
    "nothing": (replace(fit_result(), parameters=()), "no_parameters", "error", "no parameter"),
    "remark": (replace(fit_result(), warnings=("Start 2 ended elsewhere.",)), "remark", "warning", "Start 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_speaks_against_it_is_said(name: str) -> None:
    result, rule, severity, words = CASES[name]
    summary = summarise(result)
    (found,) = (f for f in summary.findings if f.rule == rule)
    assert found.severity == severity and words in found.text
    assert summary.usable == all(f.severity != "error" for f in summary.findings)
    assert rule not in rules(summarise(fit_result()))


def test_a_result_may_be_the_mean_of_its_last_iterations() -> None:
    result = fit_result()
    means = [replace(p, value=float(np.mean(result.history[p.name][-2:]))) if p.free else p for p in result.parameters]
    averaged = replace(result, parameters=tuple(means))
    assert rules(summarise(averaged)) == {"history_end"}
    assert summarise(replace(averaged, diagnostics={**result.diagnostics, "averaged_iterations": 2.0})).findings == ()
