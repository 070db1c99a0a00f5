"""Ladder and robustness with a toy experiment: numbers that can be told beforehand."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.methods import Method
from pipeline.config.models import Config
from pipeline.config.robustness import STANDARD_CASES, Campaign, Case, Robustness
from pipeline.errors import (
    ConfigError,
    FitError,
    GradcalError,
    ModelRangeError,
    ReconstructionError,
    SegmentError,
    SelectionError,
)
from pipeline.parameters import nominal_values
from pipeline.report.plots import image
from pipeline.report.studies import ladder as ladder_figure
from pipeline.report.studies import robustness as robustness_figure
from pipeline.storage.detector import load_geometry
from pipeline.storage.fit import read_fit
from pipeline.storage.hits import write_hits
from pipeline.storage.kept_answers import KeptAnswers
from pipeline.storage.provenance import Provenance
from pipeline.study import ladder, robustness
from pipeline.study import published_ladder as published
from pipeline.study.estimators import Draw, FromHits, KnownDeposits, Task, Trial, _first_events, estimator, marginal
from pipeline.study.experiment import PixelExperiment
from pipeline.study.processes import work_through
from pipeline.study.trials import Job, Series, Trials
from tests.calibrate.joint.toys import TRUTH, tracks
from tests.study.gaussian import GaussianExperiment

FREE = ("birks_ab", "electric_field", "electron_lifetime")
METHOD = Method(free=FREE, tolerance=1e-4)
TARGETS = {
    "one": {**nominal_values(), "birks_ab": 0.83, "electron_lifetime": 1500.0},
    "other": {**nominal_values(), "electric_field": 0.52},
}
HOLD = {"birks_kb": 1.0}
LATE = 0.02
DRAWS = 20


@dataclass(frozen=True)
class Late:
    """In the second series, the data are late and the fit does not know."""

    def trial(self, job: Job) -> Trial:
        return Trial(GaussianExperiment(600, bias=LATE * job.series), GaussianExperiment(600))


@dataclass(frozen=True)
class Refused:
    """No fit at all."""

    why: GradcalError

    def fit(self, trial: Trial, draw: Any, method: Method, name: str) -> Any:
        raise self.why


def series(name: str, **more: Any) -> Series:
    return Series(name, more.pop("estimator", KnownDeposits()), HOLD, **more)


def made(works: tuple[Series, ...], draws: int = DRAWS, kept: Any = None) -> list[dict[str, Any]]:
    work = Trials(Late(), works, METHOD, "toy", TARGETS, 3)
    jobs = [Job(s, t, d) for s in range(len(works)) for t in range(2) for d in range(draws)]
    return work_through(work, jobs, 1, lambda text: None, "fits", kept)


@pytest.fixture(scope="module")
def fits() -> list[dict[str, Any]]:
    return made((series("nothing/without", paths=1), series("late/without", free=("shift_z",), unknown=("birks_ab",))))


def test_pulls_of_late_data_are_biased_and_those_of_others_are_not(fits: list[dict[str, Any]]) -> None:
    names = (series("nothing/without"), series("late/without"))
    rows = robustness.rows_of(fits, names, FREE)
    assert all(p["kept"] for p in rows["nothing/without"]["parameters"].values())
    assert rows["late/without"]["fits"] == 2 * DRAWS


def test_a_nuisance_takes_the_bias_away() -> None:
    """Late by a constant time is a shift of all tracks along the drift, which is the nuisance; the lifetime and A_B
    hardly see either."""
    without = robustness.rows_of(made((series("x"), series("late"))), (series("x"), series("late")), FREE)
    with_ = robustness.rows_of(
        made((series("x"), series("late", free=("shift_z",)))), (series("x"), series("late")), FREE
    )
    assert abs(without["late"]["parameters"]["electric_field"]["mean"]) > 2
    assert abs(with_["late"]["parameters"]["electric_field"]["mean"]) < 3 / math.sqrt(2 * DRAWS)
    assert with_["late"]["parameters"]["electric_field"]["kept"]


def test_parameters_without_truth_have_no_pull(fits: list[dict[str, Any]]) -> None:
    one = series("late/without", unknown=("birks_ab",))
    row = robustness.rows_of(fits, (one,), FREE)["late/without"]["parameters"]
    assert row["birks_ab"] is None and row["electric_field"] is not None


def test_paths_are_kept_of_the_first_fits_of_the_series_that_want_them(fits: list[dict[str, Any]]) -> None:
    paths = robustness.paths_of(fits, (series("nothing/without"), series("late/without")))
    assert [(p["case"], p["fit"], len(p["paths"])) for p in paths] == [("nothing", "without", 1)]
    (path,) = paths[0]["paths"]
    assert path["iteration"][0] == 0 and set(path) == {"iteration", *FREE}
    # From the nominal point to the target.
    assert path["birks_ab"][0] == pytest.approx(0.8 / 0.83)
    assert path["electric_field"][-1] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", [FitError, ModelRangeError, ReconstructionError, SegmentError, SelectionError])
def test_refused_fits_are_answers_and_no_limit_is_kept(kind: type[GradcalError]) -> None:
    answers = made((series("x"), series("refused", estimator=Refused(kind("nothing to fit.")))), 1)
    rows = robustness.rows_of(answers, (series("refused"),), FREE)["refused"]
    assert rows["fits"] == 2 and rows["converged"] == 0
    assert not rows["parameters"]["birks_ab"]["kept"]
    assert answers[-1]["status"] == "nothing to fit."


def test_the_same_after_an_interruption(tmp_path: Path) -> None:
    provenance = Provenance("study ladder", {"seed": 3}, {}, "0" * 64)
    works = (series("a", paths=1),)
    once = made(works, 2)
    kept = KeptAnswers(tmp_path / "ladder.json", provenance)
    for number in (0, 3):
        kept.keep(number, once[number])
    assert json.dumps(made(works, 2, kept)) == json.dumps(once)


def compared(count: int, stages: tuple[str, ...] = ("S1", "S2")) -> dict[str, Any]:
    """Two lengths, the longer with spread and uncertainty half of those of the shorter."""
    rng = np.random.default_rng(4)
    campaigns = (Campaign(length_cm=1000.0, targets=2, draws=count), Campaign(length_cm=4000.0, targets=2, draws=count))
    fits = []
    for campaign, size in zip(campaigns, (0.02, 0.01), strict=True):
        for stage in stages:
            for target, true in TARGETS.items():
                for _ in range(count):
                    pull = rng.normal(size=3)
                    fits.append({
                        "series": f"{stage} {campaign.length_cm:g} cm", "target": target, "converged": True,
                        "iterations": 5, "hits": 100, "outliers": 1, "distance": float(pull @ pull), "scores": {},
                        "position_rms_um": 200.0 if stage == "S2" else None,
                        "values": {n: true[n] * (1 + size * p) for n, p in zip(FREE, pull, strict=True)},
                        "uncertainties": {n: true[n] * size for n in FREE},
                        "pulls": dict(zip(FREE, pull.tolist(), strict=True)),
                    })  # fmt: skip
    deposits = [{"length_cm": c.length_cm, "wanted_cm": c.length_cm, "parts": 3, "tracks": 5.0} for c in campaigns]
    found = ladder.compared(fits, campaigns, stages, FREE, TARGETS, deposits)
    return {"settings": {"hold": HOLD}, "targets": TARGETS, "fits": fits, **found}


def test_scatter_of_all_lengths_is_the_same_at_one_length() -> None:
    result = compared(40)
    for campaign in result["campaigns"]:
        for found in campaign["stages"].values():
            scaled = found["scaled"]["birks_ab"]
            assert scaled["total"] == pytest.approx(2.0 / math.sqrt(40), abs=4 * scaled["total_error"])
            assert scaled["stated"] == pytest.approx(2.0 / math.sqrt(40))
            assert scaled["bias_stays"] >= scaled["total"] * 0.99
    # 0.3 % in all parameters: published are 0.2 % and 3.9 %.
    first = result["campaigns"][0]["stages"]["S1"]["scaled"]
    assert not first["birks_ab"]["no_larger"] and first["electron_lifetime"]["no_larger"]


def test_published_totals_are_rounded_up() -> None:
    assert published.FITS["S1"]["birks_ab"].total == pytest.approx(math.hypot(0.15, 0.15))
    assert published.FITS["S3"]["electron_lifetime"].total == pytest.approx(math.hypot(138.5, 47.5))
    # The spread of S4 is given, or follows from the standard error of a mean of eight.
    s4 = published.FITS["S4"]
    assert s4["electron_lifetime"].total == pytest.approx(math.hypot(4.25, 4.35))
    assert s4["birks_ab"].total == pytest.approx(math.hypot(0.735, math.sqrt(8) * 0.055))


def test_bounds_grow_with_what_is_unknown() -> None:
    for both in (False, True):
        for name in published.BOUNDS["S1"]:
            bounds = [published.bound(stage, name, both) for stage in ("S1", "S2", "S4")]
            assert all(a <= b for one, more in pairwise(bounds) for a, b in zip(one, more, strict=True))
            assert all(list(b) == sorted(b) for b in bounds)
        assert published.bound("S3", "birks_ab", both) is None
    assert published.bound("S1", "birks_kb", False) is None and published.bound("S1", "birks_kb", True)


def test_the_figure_of_the_ladder_shows_every_stage_and_length() -> None:
    result = compared(3)
    figure, caption = ladder_figure.draw(result)
    panels = [ax for ax in figure.axes if ax.axison]
    assert len(panels) == len(FREE) + 1
    assert [t.get_text() for t in panels[0].get_xticklabels()] == ["S1", "S2"]
    assert "S1 6 of 6" in caption and "k_B held at the truth" in caption
    assert len(image(figure, "svg")) > 10_000
    head, rows = ladder_figure.rows(result)
    assert len(rows) == 2 * 2 * len(FREE) and all(len(row) == len(head) for row in rows)
    assert "published" in ladder.table(result)


def test_a_single_fit_of_a_length_has_no_spread_and_is_still_drawn() -> None:
    result = compared(1)
    result["campaigns"] = result["campaigns"][1:]
    for found in result["campaigns"][0]["stages"].values():
        for p, scaled in zip(found["parameters"].values(), found["scaled"].values(), strict=True):
            p["errors_percent"] = {}
            p["pulls"] = {"fits": 1, "without": 0, "kept": False}
            scaled.pop("total"), scaled.pop("total_error"), scaled.pop("bias_stays")
    assert len(image(ladder_figure.draw(result)[0], "svg")) > 5000
    ladder_figure.rows(result)
    ladder.table(result)


def robustness_result(fits: list[dict[str, Any]]) -> dict[str, Any]:
    names = (series("nothing/without"), series("late/without", unknown=("birks_ab",)))
    rows = robustness.rows_of(fits, names, FREE)
    return {
        "settings": {"hold": HOLD, "fits": ["without"], "draws": DRAWS, "paths": 1},
        "deposits": {"length_cm": 500.0, "parts": 7},
        "targets": TARGETS,
        "free": list(FREE),
        "cases": {n: Case().model_dump(mode="json") for n in ("nothing", "late")},
        "rows": {n: {"without": rows[f"{n}/without"]} for n in ("nothing", "late")},
        "paths": robustness.paths_of(fits, names),
        "fits": fits,
    }


def test_the_figure_of_robustness_writes_every_bias(fits: list[dict[str, Any]]) -> None:
    result = robustness_result(fits)
    figure, caption = robustness_figure.draw(result)
    written = [text.get_text() for text in figure.subfigs[0].axes[0].texts]
    assert len(written) == 2 * len(FREE) and written.count("no truth") == 1
    assert len(figure.subfigs[1].axes) == len(FREE)
    assert "80 fits" in caption and "too short" in caption
    assert len(image(figure, "svg")) > 10_000
    head, rows = robustness_figure.rows(result)
    assert len(rows) == 2 * len(FREE) and all(len(row) == len(head) for row in rows)
    assert "no truth" in robustness.table(result)
    without_paths = {**result, "paths": []}
    assert len(robustness_figure.draw(without_paths)[0].subfigs) == 1


def test_cases_of_the_published_studies_are_there_and_mistakes_in_their_names_are_found() -> None:
    shift = STANDARD_CASES["drift_shift"].perturb[0]
    assert (shift.along, shift.low_cm, shift.high_cm) == ("drift", 0.0, 0.3)
    assert [STANDARD_CASES[f"pions_{p}"].pions for p in (0, 5, 10, 20, 50)] == [0, 0.05, 0.1, 0.2, 0.5]
    with pytest.raises(ValueError, match="no case 'drift_shif'; did you mean 'drift_shift'"):
        Robustness(cases=("drift_shif",))
    with pytest.raises(ValueError, match="no nuisance 'geometri'; did you mean 'geometry'"):
        Case(nuisances=("geometri",))
    with pytest.raises(ValueError, match="both fits would be the same"):
        Case(always=("dedx",), nuisances=("dedx",))
    own = Robustness(cases=("mine", "nothing"), named_cases={"mine": Case(pions=0.3)})
    assert own.case("mine").pions == 0.3


def test_what_is_left_open_is_told_to_the_fit() -> None:
    settings = Robustness()

    def of(task: Task) -> Any:
        return estimator(task, METHOD, Config(), settings)

    assert isinstance(of(Task()), KnownDeposits)
    energies, places, both = of(Task(dedx=True)), of(Task(geometry=True)), of(Task(dedx=True, particles=True))
    assert (energies.unknown.geometry, energies.unknown.energy) == (False, "fitted")
    assert (places.unknown.geometry, places.unknown.energy) == (True, "given")
    assert [len(e.unknown.hypotheses) for e in (energies, both)] == [1, 2]
    # Where losses are fitted, electrons are charge of unknown origin; where they are given, tracks of the sample.
    hits = of(ladder.TASKS["S4"])
    assert isinstance(hits, FromHits) and hits.unknown.stray_above_mev == hits.unknown.production_cut_mev == 0.273
    assert energies.unknown.stray_above_mev == 0.273 and places.unknown.stray_above_mev is None
    assert energies.unknown.production_cut_mev == settings.production_cut_mev
    fitted = marginal(METHOD, energies.unknown)
    assert fitted.objective == "marginal_likelihood" and fitted.free == METHOD.free


def test_a_study_fits_tracks_that_it_found_as_the_commands_do(tmp_path: Path) -> None:
    """The same values to the digits that files keep, where tracks are found once."""
    settings = {
        "seed": 5,
        "simulate": {"threads": 1},
        "methods": {"m": {"objective": "marginal_likelihood", "optimiser": "fisher_scoring", "free": ["birks_ab"],
                          "unknown": {"determinant": False, "simulated": 0.0, "part_length_cm": 30.0}}},
    }  # fmt: skip
    config = Config.model_validate(settings)
    geometry = load_geometry("module0")
    truth = {**nominal_values(), "birks_ab": 0.83}
    experiment = PixelExperiment(tracks(2), geometry, config)
    method = config.methods["m"]
    unknown = FromHits(method.unknown, config, rounds=1)
    of_study = unknown.fit(Trial(experiment, experiment), Draw(truth, 5, 5), method, "m")
    hits, found, fit = (tmp_path / name for name in ("hits.h5", "found.h5", "fit.h5"))
    write_hits(hits, experiment.hits(truth, 5), Provenance("simulate", {}, {}, "0"), truth)
    told = ["--config-json", json.dumps(settings)]
    assert run(["reconstruct", *told, str(hits), str(found)]) == 0
    assert run(["fit", *told, "--method", "m", "--segments", str(found), "--hits", str(hits), str(fit)]) == 0
    (mine,), (theirs,) = ([p for p in result.parameters if p.free] for result in (of_study, read_fit(fit)))
    assert mine.initial == theirs.initial == nominal_values()["birks_ab"]
    assert theirs.value == pytest.approx(mine.value, rel=1e-6) and mine.value != mine.initial
    assert theirs.uncertainty == pytest.approx(mine.uncertainty, rel=1e-3)


def test_the_first_of_two_fits_is_of_whole_events_with_enough_hits() -> None:
    experiment = PixelExperiment(tracks(3), load_geometry("module0"), Config())
    hits = experiment.hits(TRUTH, 1)
    each = np.bincount(hits.event_id)
    for enough, events in ((1, 1), (each[0], 1), (each[0] + 1, 2), (each[:2].sum(), 2), (10**6, 3)):
        assert np.bincount(_first_events(hits, enough).event_id).tolist() == each[:events].tolist()
    assert len(_first_events(hits.take(np.zeros(0, dtype=np.int64)), 5)) == 0


def test_data_of_another_recombination_have_a_configuration_of_their_own() -> None:
    config = Config()
    assert robustness._of_data(config, Case()) is config
    assert robustness._of_data(config, Case(data_recombination="birks")) is config
    other = robustness._of_data(config, Case(data_recombination="box"))
    assert other.detector.recombination == "box" and config.detector.recombination == "birks"


def test_everything_held_is_refused() -> None:
    settings = {
        "study": {"ladder": {"stages": ["S1"], "hold": {n: 1.0 for n in Config().known_methods["likelihood"].free}}}
    }
    config = Config.model_validate(settings)
    from tests.study.test_trials import straight

    with pytest.raises(ConfigError, match="hold fewer"):
        ladder.run(config, straight(), load_geometry("module0"), lambda text: None)


@pytest.mark.parametrize(("threads", "lengths", "each"), [(2, (4.0, 9.0, 7.0), 1), (4, (4.0,), 2), (8, (4.0,), 4)])
def test_long_fits_come_first_and_few_fits_have_more_threads(
    threads: int, lengths: tuple[float, ...], each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.study.test_trials import straight

    class Begun(Exception):
        pass

    def begun(work: Trials, jobs: list[Job], processes: int, *_: Any) -> None:
        assert processes == threads and work.source.config.simulate.threads == each  # type: ignore[attr-defined]
        # Two stages of each length.
        asked = [lengths[job.series // 2] for job in jobs]
        assert asked == sorted(asked, reverse=True) and len(asked) == 2 * len(lengths)
        raise Begun

    monkeypatch.setattr(ladder, "work_through", begun)
    campaigns = [{"length_cm": length, "targets": 1, "draws": 1} for length in lengths]
    settings = {"simulate": {"threads": threads}, "study": {"ladder": {"stages": ["S1", "S2"], "campaigns": campaigns}}}
    with pytest.raises(Begun):
        ladder.run(Config.model_validate(settings), straight(), load_geometry("module0"), lambda text: None)
