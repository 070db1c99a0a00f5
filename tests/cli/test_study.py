"""`gradcal study` of many fits: what an interrupted one has found is not found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.main import run
from pipeline.storage.provenance import Provenance
from pipeline.storage.segments import write_segments
from pipeline.study.pull_fits import Job, PullFits
from tests.tracks import straight_track

CONFIG = {
    "select": {"max_anode_distance_cm": None},
    "simulate": {"threads": 1},
    "study": {"pulls": {"targets": 2, "draws": 3}},
}


class Fits:
    """Stands for fits; breaks off before fit number `last`."""

    def __init__(self, last: int | None = None) -> None:
        self.jobs: list[Job] = []
        self.last = last

    def do(self, work: PullFits, job: Job) -> dict[str, Any]:
        if len(self.jobs) == self.last:
            raise KeyboardInterrupt
        self.jobs.append(job)
        values = {name: (1 + 0.01 * job.draw) * v for name, v in work.targets[f"target_{job.target + 1}"].items()}
        return {
            "target": f"target_{job.target + 1}", "draw": job.draw, "converged": True, "status": "Converged.",
            "iterations": 3, "hits": 10, "outliers": 0, "values": values, "uncertainties": values,
            "pulls": dict.fromkeys(values, 0.5), "distance": 1.0, "scores": {},
        }  # fmt: skip


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    segments = tmp_path / "muon.h5"
    write_segments(segments, straight_track(segments=20), Provenance("test", {}, {}, "0" * 64))
    output = tmp_path / "pulls.json"

    def again(fits: Fits, config: dict[str, Any] = CONFIG) -> tuple[int, Path]:
        monkeypatch.setattr(PullFits, "do", lambda work, job: fits.do(work, job))
        command = ["study", "pulls", "--config-json", json.dumps(config), "--segments", str(segments)]
        return run([*command, "--output", str(output)]), output

    return again


def test_an_interrupted_study_goes_on_and_gives_the_same_bytes(study: Any, capsys: Any) -> None:
    status, output = study(Fits())
    assert status == 0
    whole = output.read_bytes()
    output.unlink()

    status, output = study(broken := Fits(last=4))
    assert status == 130 and len(broken.jobs) == 4 and not output.exists()
    capsys.readouterr()
    status, output = study(rest := Fits())
    assert status == 0 and len(rest.jobs) == 2
    assert "pulls: going on after 4 of 6 fits" in capsys.readouterr().err
    assert output.read_bytes() == whole
    assert {p.name for p in output.parent.iterdir()} == {"muon.h5", "pulls.json"}
    assert run(["draw", str(output), str(output.with_suffix(".svg"))]) == 0
    assert "6 fits" in output.with_suffix(".md").read_text()


OTHERS = {
    "the seed": {"seed": 2},
    "a setting of the study": {"study": {"pulls": {"targets": 2, "draws": 4}}},
    "its method": {"methods": {"likelihood": {"objective": "likelihood", "optimiser": "fisher_scoring", "starts": 2}}},
    "the noise": {"readout": {"noise": {"reset_electrons": 800}}},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_other_settings_begin_anew(study: Any, change: dict[str, Any]) -> None:
    study(Fits(last=4))
    status, _ = study(others := Fits(), {**CONFIG, **change})
    assert status == 0 and len(others.jobs) >= 6


def test_how_work_is_shared_out_and_what_other_studies_do_is_no_reason_to(study: Any) -> None:
    study(Fits(last=4))
    changes = {"simulate": {"threads": 1, "memory_limit_mib": 2000.0}, "methods": {"mine": {}}}
    status, _ = study(same := Fits(), {**CONFIG, **changes})
    assert status == 0 and len(same.jobs) == 2
