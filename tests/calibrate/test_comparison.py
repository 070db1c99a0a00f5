"""Every hit of model and data is told of once, with a reason that the numbers bear out."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibrate.comparison import NEAR, SENTENCES, Reason, compare, compare_fit
from pipeline.calibrate.residuals import match, residuals
from pipeline.errors import ModelRangeError
from pipeline.tables import FitResult, FittedParameter, Observables, Supply


def observables(*rows: tuple[int, int, int], valid: bool = True) -> Observables:
    """Hits by (event, channel, order); their values follow from these three."""
    event, channel, order = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    values = np.stack([100.0 * event + channel, 10.0 * channel + order], axis=1)
    return Observables(event, channel, order, values, ("adc", "t"), np.full(len(rows), valid))


def supply(**left: list[float]) -> Supply:
    """Charge for the hits of pixels `e<event>c<channel>`, in thresholds."""
    keys = [tuple(map(int, name[1:].split("c"))) for name in left]
    event, channel = np.array(keys).T
    return Supply(event, channel, np.array(list(left.values())))


def reasons(model: Observables, data: Observables, has: Supply | None = None) -> list[Reason]:
    return [Reason(r) for r in compare(model, data, has).reason]


EVENT = (1, 9, 0)  # a matched hit, so that both sides know the event
REACHED = supply(e1c9=[1.5, 0.2], e1c3=[0.4, 0.4], e1c4=[0.95, 0.95], e1c5=[3.0, 1.6], e1c6=[2.0, 0.5])


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        ([(1, 3, 0)], [(1, 3, 0)], Reason.MATCHED),
        ([], [(1, 3, 0)], Reason.BELOW_THRESHOLD),
        ([], [(1, 4, 0)], Reason.NEAR_THRESHOLD),
        ([], [(1, 7, 0)], Reason.OUT_OF_REACH),
        ([(1, 5, 0)], [], Reason.NO_DATA_HIT),
        ([(1, 5, 0), (1, 5, 1)], [(1, 5, 0)], Reason.MORE_IN_MODEL),
        ([(1, 6, 0)], [(1, 6, 0), (1, 6, 1)], Reason.MORE_IN_DATA),
        ([], [(2, 6, 0)], Reason.EVENT_ONLY_IN_DATA),
        ([(2, 6, 0)], [], Reason.EVENT_ONLY_IN_MODEL),
    ],
)
def test_every_reason_is_recognised(model, data, reason):
    found = compare(observables(*model, EVENT), observables(*data, EVENT), REACHED)
    assert Reason.MATCHED in found.reason, "the hit that both have"
    assert found.reason[found.channel != 9].max(initial=0) == reason
    assert len(found) == len({*model, *data, EVENT})


def test_without_the_charge_only_what_the_tables_tell_is_said():
    model, data = observables(EVENT, (1, 5, 0)), observables(EVENT, (1, 3, 0))
    assert reasons(model, data) == [Reason.NO_MODEL_HIT, Reason.NO_DATA_HIT, Reason.MATCHED]
    assert np.isnan(compare(model, data).supply).all()


def test_a_hit_not_to_be_used_counts_as_absent_and_says_so():
    data = observables(EVENT, (1, 5, 0))
    data = replace(data, valid=data.channel == 9)
    found = compare(observables(EVENT, (1, 5, 0)), data, REACHED)
    assert [Reason(r) for r in found.reason] == [Reason.NOT_TO_BE_USED, Reason.MATCHED]
    assert np.isnan(found.data[0]).all()


def test_the_nearness_of_the_threshold_is_that_of_the_sentence():
    for left, near in ((1 + 0.99 * NEAR, True), (1 + 1.01 * NEAR, False), (1 - 0.99 * NEAR, True)):
        has = supply(e1c9=[1.5], e1c2=[left])
        assert (Reason.NEAR_THRESHOLD in reasons(observables(EVENT, (1, 2, 0)), observables(EVENT), has)) == near
    assert f"{100 * NEAR:.0f} %" in SENTENCES[Reason.NEAR_THRESHOLD]
    assert set(SENTENCES) == set(Reason)


def test_counts_and_residuals_are_those_that_the_fit_uses():
    rng = np.random.default_rng(3)
    keys = np.unique(rng.integers(0, (4, 12, 3), (120, 3)), axis=0)
    model, data = (observables(*keys[rng.random(len(keys)) < 0.7]) for _ in range(2))
    data = replace(data, values=data.values + rng.normal(size=data.values.shape))
    pairs, found = match(model, data), compare(model, data)
    assert len(pairs.model) > 20
    assert found.matched.sum() == len(pairs.model)
    assert (~found.in_data).sum() == pairs.unmatched_model
    assert (~found.in_model).sum() == pairs.unmatched_data
    difference = (found.model - found.data)[found.matched]
    np.testing.assert_array_equal(difference, residuals(model, data, pairs))
    assert ((found.reason == Reason.MATCHED) == found.matched).all()


def test_empty_sides_are_compared_too():
    nothing = observables()
    assert len(compare(nothing, nothing)) == 0
    assert reasons(nothing, observables((1, 2, 0))) == [Reason.EVENT_ONLY_IN_DATA]
    assert reasons(observables((1, 2, 0)), nothing) == [Reason.EVENT_ONLY_IN_MODEL]


class _Narrow:
    """A model that has one hit where `gain` is above 1, and refuses gains above 10."""

    def observe_with_supply(self, values):
        if values["gain"] > 10:
            raise ModelRangeError("too far")
        hits = observables(EVENT) if values["gain"] > 1 else observables()
        return hits, supply(e1c9=[values["gain"]])


@pytest.mark.parametrize(("value", "known"), [(2.0, {"initial", "fitted"}), (11.0, {"initial"})])
def test_start_and_end_of_a_fit_are_compared_as_far_as_the_model_goes(value, known):
    gain = FittedParameter("gain", "", 0.5, value, True)
    found = compare_fit(_Narrow(), observables(EVENT), FitResult("", True, "m", (gain,), 1, {}, {}))
    assert set(found) == known
    assert found["initial"].reason == [Reason.BELOW_THRESHOLD]
    if "fitted" in found:
        assert found["fitted"].matched.all()
