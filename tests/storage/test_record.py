"""The record of a run."""

import json
import math

import pytest

from pipeline.config.load import config_from_json
from pipeline.config.methods import Method
from pipeline.config.models import Config, Targets
from pipeline.storage.record import run_record, write_record


def test_the_record_is_the_same_twice_and_holds_the_whole_configuration(tmp_path):
    config = Config(seed=7, targets=Targets(drawn=1, named={"mine": {"birks_ab": 0.81}}))
    for name in ("once", "twice"):
        write_record(tmp_path / name, config)
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()
    record = json.loads((tmp_path / "once").read_text())
    assert Config.model_validate_json(json.dumps(record["config"])) == config
    assert record["targets"]["mine"]["birks_ab"] == 0.81
    assert record["pages"] == ["results/closure/muons_and_protons/report.html"]


def test_every_stage_and_the_packages_that_numbers_depend_on_are_named():
    record = run_record(Config())
    assert {
        "produce",
        "convert",
        "contaminate",
        "select",
        "simulate",
        "hits",
        "reconstruct",
        "perturb",
        "fit",
        "report",
    } == set(record["code"])
    assert all(record["versions"][name] for name in ("gradcal", "python", "numpy", "torch"))


def test_an_infinite_lifetime_is_text_that_means_the_same(tmp_path):
    """JSON has no infinite numbers (RFC 8259, section 6)."""

    def refuse(name):
        pytest.fail(f"{name} is not JSON")

    named = {"pure": {"electron_lifetime": math.inf}}
    methods = {"m": Method(free=("birks_ab",), fixed={"electron_lifetime": math.inf})}
    config = Config(targets=Targets(drawn=0, named=named), methods=methods)
    write_record(tmp_path / "run.json", config)
    record = json.loads((tmp_path / "run.json").read_text(), parse_constant=refuse)
    assert record["targets"]["pure"]["electron_lifetime"] == "inf"
    assert config_from_json(json.dumps(record["config"])) == config
