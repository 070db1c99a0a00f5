"""The tables that flow between stages."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tables import Segments, common_numbers


def table(rows: int, seed: int = 1) -> Segments:
    """Segments whose columns are all different, so that a mix-up of columns or rows shows."""
    random = np.random.default_rng([seed, rows])
    columns: dict[str, np.ndarray] = {}
    for field in dataclasses.fields(Segments):
        if field.name in ("start", "end"):
            columns[field.name] = random.uniform(-30.0, 30.0, (rows, 3))
        elif field.name.endswith("_id"):
            columns[field.name] = random.integers(0, 4, rows)
        else:
            columns[field.name] = random.uniform(0.1, 3.0, rows)
    return Segments(**columns)


def assert_same(one: Segments, other: Segments) -> None:
    for field in dataclasses.fields(Segments):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def test_a_cut_and_its_complement_hold_all_rows_once() -> None:
    whole = table(17)
    chosen = whole.dE > 1.2
    kept, left = whole.take(chosen), whole.take(~chosen)

    assert 0 < len(kept) < 17
    order = np.argsort(np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)]))
    assert_same(Segments.concatenate([kept, left]).take(order), whole)


def test_taking_by_mask_and_by_index_is_the_same() -> None:
    whole = table(11)
    mask = whole.traj_id == 2

    assert_same(whole.take(mask), whole.take(np.flatnonzero(mask)))


def test_an_empty_choice_keeps_shapes_and_types() -> None:
    whole = table(5)

    empty = whole.take(np.zeros(5, dtype=bool))

    assert len(empty) == 0 and empty.start.shape == (0, 3)
    assert empty.event_id.dtype == whole.event_id.dtype
    assert empty.length.shape == (0,) and empty.track_index().shape == (0,)


def test_replacing_a_column_leaves_the_others_and_the_original() -> None:
    whole = table(6)
    before = whole.dE.copy()

    changed = whole.replace(dE=2.0 * whole.dE)

    np.testing.assert_array_equal(whole.dE, before)
    assert_same(changed.replace(dE=before), whole)
    np.testing.assert_array_equal(changed.dE, 2.0 * before)


def test_tables_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        table(2).dE = np.zeros(2)  # type: ignore[misc]


def test_length_and_centre_do_not_depend_on_direction_or_frame() -> None:
    """Swapping start with end, or two axes, changes no length; moving everything moves the centre along."""
    whole, step = table(9), np.array([1.0, -2.0, 3.0])
    swapped = whole.replace(start=whole.end[:, [2, 1, 0]], end=whole.start[:, [2, 1, 0]])
    moved = whole.replace(start=whole.start + step, end=whole.end + step)

    np.testing.assert_allclose(swapped.length, whole.length, rtol=1e-14)
    np.testing.assert_allclose(swapped.centre, whole.centre[:, [2, 1, 0]], rtol=1e-14)
    np.testing.assert_allclose(moved.length, whole.length, rtol=1e-13)
    np.testing.assert_allclose(moved.centre - whole.centre, np.tile(step, (9, 1)), rtol=1e-12)


def test_length_of_a_known_diagonal() -> None:
    one = table(1).replace(start=np.array([[1.0, 2.0, 3.0]]), end=np.array([[3.0, 5.0, 9.0]]))

    assert one.length == pytest.approx([7.0])
    np.testing.assert_array_equal(one.centre, [[2.0, 3.5, 6.0]])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
def test_tracks_are_numbered_by_event_and_trajectory(pairs: list[tuple[int, int]]) -> None:
    """Equal numbers exactly for equal pairs, without gaps, and increasing with (event, trajectory)."""
    event, trajectory = np.array(pairs, dtype=np.int64).T
    rows = len(pairs)

    number = table(rows).replace(event_id=event, traj_id=trajectory).track_index()

    assert dict(zip(sorted(set(pairs)), range(len(set(pairs))))) == {p: int(n) for p, n in zip(pairs, number)}


def test_equal_keys_of_several_tables_have_equal_numbers_in_the_order_of_the_keys() -> None:
    rng = np.random.default_rng(3)
    a, b, none = rng.integers(-3, 3, (200, 3)), rng.integers(-3, 3, (50, 3)), np.zeros((0, 3), dtype=np.int64)
    found = common_numbers(a, none, b)
    keys = [tuple(row) for row in np.concatenate([a, b]).tolist()]
    wanted = {key: n for n, key in enumerate(sorted(set(keys)))}
    assert np.concatenate(found).tolist() == [wanted[key] for key in keys]
    assert [len(n) for n in found] == [200, 0, 50]
    assert common_numbers(none)[0].tolist() == []
