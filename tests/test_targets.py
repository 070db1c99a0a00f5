"""True parameter points of a run."""

import csv

import pytest

from pipeline.config.models import Config, Scenario, Targets
from pipeline.errors import ConfigError
from pipeline.parameters import CALIBRATED, calibrated
from pipeline.targets import study_targets, target_seed, target_values


def test_drawn_targets_are_the_published_ones(shared_data):
    """Target i of seed s equals the published target of seed s + i, for the parameters drawn before any that differ."""
    published = {}
    with (shared_data / "published_fits.csv").open() as stream:
        for row in csv.DictReader(stream):
            published[int(row["target_seed"]), row["param"]] = float(row["target"])
    drawn = target_values(Config(targets=Targets(drawn=5, seed=1)))
    for i in range(5):
        values = drawn[f"target_{i + 1}"]
        assert values["birks_ab"] == pytest.approx(published[1 + i, "Ab"], rel=1e-14)
        assert values["birks_kb"] == pytest.approx(published[1 + i, "kb"], rel=1e-14)


def test_drawn_targets_lie_in_the_ranges_and_do_not_depend_on_their_number():
    many = target_values(Config(targets=Targets(drawn=30)))
    assert len(many) == 30
    for values in many.values():
        assert tuple(values) == CALIBRATED
        assert all(p.low <= values[p.name] <= p.high for p in calibrated())
    few = target_values(Config(targets=Targets(drawn=3)))
    assert few == {name: many[name] for name in ("target_1", "target_2", "target_3")}


def test_named_targets_are_nominal_but_for_what_they_name():
    targets = Targets(drawn=0, named={"low_field": {"electric_field": 0.45, "box_alpha": 0.9}})
    values = target_values(Config(targets=targets))["low_field"]
    nominal = {p.name: p.nominal for p in calibrated()}
    assert values == nominal | {"electric_field": 0.45, "box_alpha": 0.9}


def test_a_scenario_picks_targets_by_name():
    targets = Targets(drawn=3, named={"mine": {}})
    scenarios = {"closure": Scenario(targets=("mine", "target_2"))}
    assert list(target_values(Config(targets=targets, scenarios=scenarios))) == ["mine", "target_2"]


def test_an_unknown_target_is_refused_with_the_nearest_name():
    config = Config(scenarios={"closure": Scenario(targets=("taget_2",))})
    with pytest.raises(ConfigError, match=r"scenarios\.closure\.targets: .*'taget_2'.*'target_2'"):
        target_values(config)


def test_a_name_cannot_be_drawn_and_given():
    with pytest.raises(ConfigError, match=r"targets\.named\.target_1"):
        target_values(Config(targets=Targets(drawn=1, named={"target_1": {}})))


def test_noise_differs_between_targets_and_seeds_but_not_between_runs():
    seeds = {(seed, name): target_seed(seed, name) for seed in range(20) for name in ("target_1", "target_2", "mine")}
    assert len(set(seeds.values())) == len(seeds)
    assert target_seed(1, "target_1") == 1077506410


def test_a_study_draws_as_many_as_it_likes_of_the_same_or_takes_named_ones():
    config = Config(targets=Targets(drawn=1, named={"low": {"electric_field": 0.46}}))
    drawn = study_targets(config, 3, (), "study.pulls")
    assert drawn == target_values(Config(targets=Targets(drawn=3)))
    assert study_targets(config, 3, ("low", "target_1"), "study.pulls") == {
        "low": target_values(config)["low"],
        "target_1": drawn["target_1"],
    }
    with pytest.raises(ConfigError, match=r"study\.pulls\.named_targets: there is no target 'hi'; did you mean"):
        study_targets(config, 3, ("hi",), "study.pulls")
