"""Which hits a fit of noisy data looks at: decided once, by the model alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibrate.mask import well_above_threshold
from pipeline.calibrate.methods import objective_of
from pipeline.calibrate.residuals import keys, restricted
from pipeline.config.methods import Method
from pipeline.errors import FitError

from .stand_in import ToyChamber, noisy

LOWEST = 45_000.0
METHOD = Method(free=("birks_ab",), min_charge_electrons=LOWEST, charge_scale_adc=1.0, time_scale_us=0.1)


def by_hand(model: ToyChamber, values: dict[str, float]) -> set[tuple[int, int, int]]:
    seen, kept, lost = model.observe(values), set(), set()
    for key, charge in zip(map(tuple, keys(seen).tolist()), seen.columns["charge"], strict=True):
        if charge < LOWEST or key[:2] in lost:
            lost.add(key[:2])
        else:
            kept.add(key)
    return kept


@pytest.mark.parametrize("values", [{}, {"birks_ab": 0.7}, {"electron_lifetime": 300.0}])
def test_hits_above_the_limit_before_the_first_below_it_are_kept(values):
    model = ToyChamber()
    kept = set(map(tuple, well_above_threshold(model, values, LOWEST).tolist()))
    assert kept == by_hand(model, values)
    charge = model.observe(values).columns["charge"]
    assert 0 < len(kept) < (charge >= LOWEST).sum(), "some hit above must follow one below for this test"


def test_the_mask_depends_on_start_values_alone():
    """Not on the noise of the data, nor on where the fit has got to."""
    model = ToyChamber()
    masks = [
        objective_of(method, model, noisy(model.observe({"birks_ab": truth}), seed)).kept
        for seed, truth, method in [
            (1, 0.8, METHOD),
            (2, 0.9, METHOD),
            (1, 0.8, METHOD.model_copy(update={"free": ("birks_kb",)})),
        ]
    ]
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])
    started = METHOD.model_copy(update={"initial": {"birks_ab": 0.9}})
    moved = objective_of(started, model, model.observe({})).kept
    assert set(map(tuple, moved.tolist())) == by_hand(model, {"birks_ab": 0.9}) != by_hand(model, {})
    fixed = METHOD.model_copy(update={"fixed": {"electron_lifetime": 300.0}})
    assert len(objective_of(fixed, model, model.observe({})).kept) < len(masks[0])


def test_the_same_hits_are_compared_wherever_the_fit_goes():
    model = ToyChamber(threshold=30.0)
    objective = objective_of(METHOD, model, noisy(model.observe({}), 1))
    for factor in (0.9, 1.0, 1.3):
        found = objective.evaluate({"birks_ab": 0.8 * factor}, ("birks_ab",))
        assert found.counts == {"matched": len(objective.kept), "unmatched_model": 0, "unmatched_data": 0}
        assert found.residuals == 2 * len(objective.kept)


def test_hits_that_are_left_out_neither_pull_nor_count():
    """Data of the hits left out may be anything, or missing."""
    model = ToyChamber()
    data = noisy(model.observe({}), 1)
    kept = well_above_threshold(model, {}, LOWEST)
    out = ~restricted(data, kept).valid
    wild = replace(data, values=np.where(out[:, None], 1e6, data.values))
    found = [objective_of(METHOD, model, d).evaluate({}, ("birks_ab",)) for d in (data, wild, data.take(~out))]
    for other in found[1:]:
        assert (other.cost, other.gradient, other.curvature, other.counts) == (
            found[0].cost, found[0].gradient, found[0].curvature, found[0].counts
        )  # fmt: skip


def test_a_kept_hit_that_the_data_lack_is_without_partner():
    model = ToyChamber()
    data = model.observe({})
    first = int(np.flatnonzero(restricted(data, well_above_threshold(model, {}, LOWEST)).valid)[0])
    counts = objective_of(METHOD, model, data.take(np.arange(60) != first)).evaluate({}, ()).counts
    assert counts["unmatched_model"] == 1 and counts["unmatched_data"] == 0


def test_a_limit_that_leaves_nothing_is_refused():
    with pytest.raises(FitError, match=r"no simulated hit has 1e\+06 electrons .* lower min_charge_electrons"):
        well_above_threshold(ToyChamber(), {}, 1e6)
    with pytest.raises(FitError, match="no simulated hit has"):
        well_above_threshold(ToyChamber(threshold=1e9), {}, 10.0)


def test_a_readout_that_gives_no_charge_is_refused():
    class Wires(ToyChamber):
        def observe(self, values):
            return replace(super().observe(values), columns={})

    with pytest.raises(FitError, match="min_charge_electrons needs the charge"):
        well_above_threshold(Wires(), {}, 10.0)
