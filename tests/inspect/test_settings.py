"""A configuration is described by what it would run."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.config.models import Config
from pipeline.errors import ConfigError
from pipeline.inspect.settings import summarise

from .samples import GEOMETRY


def looked_at(**content: Any) -> Any:
    return summarise(Config.model_validate(content), GEOMETRY)


def test_the_defaults_are_without_fault() -> None:
    summary = looked_at()
    assert summary.findings == ()
    facts = dict(summary.facts)
    assert facts["targets"] == "2: target_1, target_2"
    assert facts["sample"] == "muons_and_protons by argon: 32 events of 8 particles"
    assert "6 free" in facts["method likelihood"] and "method adam" not in facts


def test_methods_are_those_that_the_workflow_runs() -> None:
    standard = dict(looked_at(scenarios={"closure": {"methods": ("adam", "gauss_newton")}}).facts)
    assert "soft_dtw by adam" in standard["method adam"] and "method gauss_newton" in standard
    configured = looked_at(methods={"a": {}, "b": {"max_iterations": 3}})
    assert {"method a", "method b"} <= dict(configured.facts).keys()
    assert {f.rule for f in configured.findings} == {"noise_not_known"}


CASES = {
    "sample": ({"sample": {"file": "nowhere.root"}}, "sample", "error", "nowhere.root"),
    "generator": (
        {"sample": {"generator": {"blocks": {"far": {
            "species": ({"pdg": (13,), "kinetic_energy_mev": (1e3, 1e3)},), "x_cm": (300.0, 400.0)
        }}}}}, "generator", "error", "x_cm [300, 400] reaches out of the detector",
    ),
    "targets": ({"scenarios": {"closure": {"targets": ("t",)}}}, "targets", "error", "no target 't'"),
    "initial": (
        {"methods": {"a": {"free": ("birks_ab",), "initial": {"birks_kb": 0.05}}}}, "method", "error", "birks_kb",
    ),
    "study": ({"scenarios": {"closure": {"studies": ("bench",)}}}, "study", "error", "did you mean 'benchmark'?"),
    "range": ({"targets": {"named": {"far": {"birks_ab": 0.5}}}}, "range", "note", "birks_ab = 0.5"),
    "cuts": ({"select": {"max_anode_distance_cm": 1.0}}, "cuts_exclude", "warning", "nothing will be left"),
    "off": ({"select": {"max_abs_cos_drift": None}}, "cuts_off", "note", "select.max_abs_cos_drift"),
    "loss": ({"methods": {"m": {"loss": {"gamma": 2.0}}}}, "unused", "note", "methods.m.loss: not used"),
    "adam": ({"methods": {"m": {"adam": {"decay": 0.9}}}}, "unused", "note", "methods.m.adam: not used"),
    "pixels": ({"readout": {"pixels": {"threshold_spread_electrons": 2e3}}}, "pixels", "error", "so wide"),
    "noise": (
        {"readout": {"noise": {"enabled": False, "reset_electrons": 1.0}}, "methods": {"gauss_newton": {}}},
        "unused", "note", "readout.noise",
    ),
    "noiseless": ({"readout": {"noise": {"enabled": False}}}, "no_noise", "warning", "data without noise"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_would_go_wrong_is_said(name: str) -> None:
    content, rule, severity, words = CASES[name]
    (found,) = {f for f in looked_at(**content).findings if f.rule == rule}
    assert found.severity == severity and words in found.text


def test_a_detector_that_cannot_be_read_is_an_error() -> None:
    summary = summarise(Config(), ConfigError("detector.file: there is no such detector."))
    assert not summary.usable and "no such detector" in summary.findings[0].text
