"""The record of a run."""

import json

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
    assert record["page"] == "results/closure/muon_gun/report.html"


def test_every_stage_and_the_packages_that_numbers_depend_on_are_named():
    record = run_record(Config())
    assert {"produce", "convert", "select", "simulate", "fit", "report"} == set(record["code"])
    assert all(record["versions"][name] for name in ("gradcal", "python", "numpy", "torch"))
