"""Hits of model and data are paired by what they are, not by where they stand in a table."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.calibrate.residuals import match, residuals
from pipeline.tables import Observables


def table(keys, valid=None, seed=0):
    event, channel, order = np.array(keys, dtype=np.int64).reshape(-1, 3).T
    values = np.random.default_rng(seed).normal(size=(len(event), 2))
    usable = np.ones(len(event), bool) if valid is None else np.array(valid)
    return Observables(event, channel, order, values, ("adc", "t"), usable)


def pairs_by_dictionary(model, data):
    """The definition, written out: the same key on both sides, both valid."""
    rows = [{(t.event[i], t.channel[i], t.order[i]): i for i in range(len(t)) if t.valid[i]} for t in (model, data)]
    return {(rows[0][key], rows[1][key]) for key in rows[0].keys() & rows[1].keys()}


@pytest.mark.parametrize("seed", range(5))
def test_rows_with_the_same_event_channel_and_order_are_pairs(seed):
    """Few distinct numbers, so that most keys differ from others in one column only; large ones, as channels are."""
    rng = np.random.default_rng(seed)
    tables = []
    for number in range(2):
        keys = np.unique(rng.integers(0, 4, (50, 3)) * [1, 2**40, 1] + [2**35, 0, 0], axis=0)
        tables.append(table(keys, rng.random(len(keys)) < 0.8, seed=number))
    model, data = tables
    found = match(model, data)
    assert len(found.model) > 5
    assert set(zip(found.model.tolist(), found.data.tolist())) == pairs_by_dictionary(model, data)
    assert found.unmatched_model == model.valid.sum() - len(found.model)
    assert found.unmatched_data == data.valid.sum() - len(found.data)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_one_differing_number_parts_them(column):
    other = [3, 5, 1]
    other[column] += 1
    found = match(table([[3, 5, 1]]), table([other]))
    assert (len(found.model), found.unmatched_model, found.unmatched_data) == (0, 1, 1)


def test_no_row_is_used_twice():
    keys = np.unique(np.random.default_rng(1).integers(0, 5, (60, 3)), axis=0)
    found = match(table(keys), table(keys[::-1]))
    assert sorted(found.model) == sorted(found.data) == list(range(len(keys)))


def test_rows_that_are_not_valid_neither_match_nor_count():
    found = match(table([[0, 0, 0], [0, 1, 0]], [True, False]), table([[0, 0, 0], [0, 1, 0]], [False, True]))
    assert (len(found.model), found.unmatched_model, found.unmatched_data) == (0, 1, 1)


@pytest.mark.parametrize(("here", "there"), [(0, 0), (0, 3), (3, 0)])
def test_empty_tables(here, there):
    keys = [[0, c, 0] for c in range(3)]
    found = match(table(keys[:here]), table(keys[:there]))
    assert (len(found.model), found.unmatched_model, found.unmatched_data) == (0, here, there)


def test_residuals_are_model_minus_data_of_the_pairs():
    model, data = table([[0, 1, 0], [0, 2, 0]], seed=1), table([[0, 0, 0], [0, 1, 0]], seed=2)
    assert residuals(model, data, match(model, data)).tolist() == [(model.values[0] - data.values[1]).tolist()]
