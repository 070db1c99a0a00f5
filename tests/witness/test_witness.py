"""The slow calculation of the hits against an independent reference, conservation laws and symmetries."""

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from tests.witness import physics, witness

START = np.array([[3.10, -20.30, 8.20]])
END = np.array([[3.95, -19.85, 9.30]])
ENERGY = np.array([3.2])
DEDX = np.array([2.2])
T0 = np.zeros(1)


def deposits_of(start: npt.ArrayLike = START, end: npt.ArrayLike = END) -> witness.Deposits:
    return witness.Deposits.of(start, end, ENERGY, DEDX, T0)


def collected(deposits: witness.Deposits, **changes: float) -> float:
    """Electrons collected by all pixels together after all times."""
    values = {**witness.NOMINAL, **changes}
    pixels = witness.pixels_reached(deposits, values)
    return sum(witness.PixelCharge(deposits, pixel, values).total for pixel in pixels)


@pytest.mark.parametrize(("point", "event"), [(0, 0), (0, 7), (1, 1), (1, 6), (1, 14), (2, 4), (2, 13)])
def test_hits_agree_with_the_reference(shared_data, point: int, event: int) -> None:  # type: ignore[no-untyped-def]
    """The reference is converged to 0.01 ADC rms, and up to 0.03 ADC where steep tracks hit a pixel repeatedly."""
    with h5py.File(shared_data / "reference_hits.h5") as file:
        rows = file["segments"][:]
        reference = file[f"hits_{point}"][:]
        values = {**witness.NOMINAL, **{n: v for n, v in file[f"hits_{point}"].attrs.items() if n != "units"}}
    rows, reference = rows[rows["eventID"] == event], reference[reference["event_id"] == event]
    # The file is in edep-sim's frame, with the drift along x.
    start, end = (np.stack([rows[f"{axis}_{which}"] for axis in "zyx"], axis=1) for which in ("start", "end"))

    hits = witness.simulate(start, end, rows["dE"], rows["dEdx"], np.zeros(len(rows)), values)

    for name in ("tpc", "pixel_x", "pixel_y", "hit"):
        np.testing.assert_array_equal(hits[name], reference[name])
    np.testing.assert_allclose(hits["adc"], reference["adc"], rtol=0, atol=0.03)
    np.testing.assert_allclose(hits["t"], reference["t"], rtol=0, atol=0.012)
    assert np.sqrt(np.mean((hits["adc"] - reference["adc"]) ** 2)) < 0.016
    assert np.median(np.abs(hits["t"] - reference["t"])) < 0.002


def test_waveform_agrees_with_brute_force() -> None:
    """Plain sums over four fine grids, without any closed form, give the same Q(t)."""
    values, pixel = witness.NOMINAL, (1, 77, 143)
    charge = witness.PixelCharge(deposits_of(), pixel, values)
    centre, pitch, v = charge.centre, physics.MODULE0.pitch, physics.velocity(0.5, 87.17)

    def midpoints(n: int, low: float, high: float) -> npt.NDArray[np.float64]:
        return low + (np.arange(n) + 0.5) * (high - low) / n

    u, g = midpoints(120, 0.0, 1.0), midpoints(40, -5.0, 5.0)
    offset = midpoints(44, -0.5 * pitch, 0.5 * pitch)
    place = START[0] + u[:, None] * (END - START)[0]
    distance = 30.431 - place[:, 2]
    arrival = (distance - 0.5) / v
    across, along = (np.sqrt(2.0 * values[f"{d}_diffusion"] * distance / v) for d in ("transverse", "longitudinal"))
    weight_x, weight_y = (
        np.exp(-0.5 * ((centre[k] + offset - place[:, [k]]) / across[:, None]) ** 2)
        * (pitch / 44 / across[:, None] / np.sqrt(2.0 * np.pi))
        for k in (0, 1)
    )
    normal = np.exp(-0.5 * g**2)
    normal /= normal.sum()
    freed = 3.2 * 0.8 / (1.0 + 0.0486 * 2.2 / (0.5 * 1.38)) * 1.0e6 / 23.6
    electrons = freed / 120 * np.exp(-arrival / 2200.0)
    shape = physics.response_shape(offset[:, None], offset[None, :])
    times = np.array([134.0, 135.5, 137.0, 139.0])
    expected = np.zeros(len(times))
    for n, time in enumerate(times):
        for k in range(120):
            if electrons[k] * weight_x[k].sum() * weight_y[k].sum() < 1e-4:
                continue
            landed = arrival[k] + along[k] / v * g
            late = np.minimum(time - landed[:, None, None] - shape["t_s"], 0.0)
            response = shape["a"] * np.exp(late / shape["b"]) + (1.0 - shape["a"]) * np.exp(late / shape["c"])
            expected[n] += electrons[k] * np.einsum("gxy,g,x,y->", response, normal, weight_x[k], weight_y[k])

    result = charge.cumulative(times)

    assert expected[-1] > 1e4 and np.all(np.diff(expected) > 0)
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4 * expected[-1])


def test_the_pixels_together_collect_the_electrons_that_arrive() -> None:
    """Sum over pixels = dE R / W averaged over survival along the line (closed form for a straight line)."""
    v, tau = physics.velocity(0.5, 87.17), witness.NOMINAL["electron_lifetime"]
    freed = ENERGY[0] * 0.8 / (1.0 + 0.0486 * DEDX[0] / (0.5 * 1.38)) * 1.0e6 / 23.6
    late, early = ((30.431 - 0.5 - z) / v / tau for z in (START[0, 2], END[0, 2]))
    arriving = freed * (np.exp(-early) - np.exp(-late)) / (late - early)

    assert collected(deposits_of()) == pytest.approx(arriving, rel=1e-6)


def test_without_capture_the_pixels_collect_all_that_escapes_recombination() -> None:
    freed = ENERGY[0] * 0.8 / (1.0 + 0.0486 * DEDX[0] / (0.5 * 1.38)) * 1.0e6 / 23.6

    assert collected(deposits_of(), electron_lifetime=1e15) == pytest.approx(freed, rel=1e-6)


def test_charge_between_the_cathode_faces_is_lost() -> None:
    """A line along the drift through the cathode loses the share of its length that lies inside."""
    start, end = np.array([[0.1, 0.1, -0.40]]), np.array([[0.1, 0.1, 0.60]])
    values = {**witness.NOMINAL, "electron_lifetime": 1e15}
    freed = ENERGY[0] * 0.8 / (1.0 + 0.0486 * DEDX[0] / (0.5 * 1.38)) * 1.0e6 / 23.6
    deposits = deposits_of(start, end)
    by_tpc = [0.0, 0.0]
    for pixel in witness.pixels_reached(deposits, values):
        by_tpc[pixel[0]] += witness.PixelCharge(deposits, pixel, values).total

    assert by_tpc == pytest.approx([freed * (0.40 - 0.15875), freed * (0.60 - 0.15875)], rel=1e-6)


def test_the_two_tpcs_are_mirror_images() -> None:
    flip = np.array([1.0, 1.0, -1.0])
    hits = witness.simulate(START, END, ENERGY, DEDX, T0, witness.NOMINAL)

    mirrored = witness.simulate(START * flip, END * flip, ENERGY, DEDX, T0, witness.NOMINAL)

    assert len(hits) >= 3 and set(hits["tpc"]) == {1} and set(mirrored["tpc"]) == {0}
    for name in ("pixel_x", "pixel_y", "hit"):
        np.testing.assert_array_equal(mirrored[name], hits[name])
    np.testing.assert_allclose(mirrored["t"], hits["t"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(mirrored["charge"], hits["charge"], rtol=1e-6)


def test_whole_pixels_move_only_the_pixel_numbers() -> None:
    pitch = physics.MODULE0.pitch
    move = np.array([7 * pitch, -3 * pitch, 0.0])
    hits = witness.simulate(START, END, ENERGY, DEDX, T0, witness.NOMINAL)

    moved = witness.simulate(START + move, END + move, ENERGY, DEDX, T0, witness.NOMINAL)

    np.testing.assert_array_equal(moved["pixel_x"], hits["pixel_x"] + 7)
    np.testing.assert_array_equal(moved["pixel_y"], hits["pixel_y"] - 3)
    np.testing.assert_allclose(moved["charge"], hits["charge"], rtol=1e-6)


def test_splitting_a_segment_changes_nothing() -> None:
    """Three parts of equal dE/dx, given in another order and direction, make the same hits."""
    cuts = START + np.array([[0.0], [0.21], [0.67], [1.0]]) * (END - START)
    order = np.array([2, 0, 1])
    start, end, energy = cuts[1:][order], cuts[:-1][order], (ENERGY * np.array([0.21, 0.46, 0.33]))[order]
    hits = witness.simulate(START, END, ENERGY, DEDX, T0, witness.NOMINAL)

    split = witness.simulate(start, end, energy, np.repeat(DEDX, 3), np.zeros(3), witness.NOMINAL)

    for name in ("tpc", "pixel_x", "pixel_y", "hit"):
        np.testing.assert_array_equal(split[name], hits[name])
    np.testing.assert_allclose(split["t"], hits["t"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(split["charge"], hits["charge"], rtol=2e-5)


def test_times_count_from_the_earliest_deposit_and_a_later_one_adds_its_delay() -> None:
    """Two deposits far apart in x: the delay of the second appears in its own hits only."""
    far = np.array([10.0, 0.0, 0.0])
    start, end = (np.concatenate([place, place + far]) for place in (START, END))
    energy, dedx = np.repeat(ENERGY, 2), np.repeat(DEDX, 2)

    together = witness.simulate(start, end, energy, dedx, [40.0, 40.0], witness.NOMINAL)
    delayed = witness.simulate(start, end, energy, dedx, [40.0, 45.5], witness.NOMINAL)

    second = together["pixel_x"] > 85
    np.testing.assert_allclose(delayed["t"] - together["t"], np.where(second, 5.5, 0.0), rtol=0, atol=1e-6)


def test_a_hit_holds_the_charge_until_the_end_of_the_hold() -> None:
    """The definition of the readout on a track along the drift, which fires one pixel several times."""
    deposits = witness.Deposits.of([[0.12, 0.1, 5.0]], [[0.14, 0.1, 8.0]], [9.0], [3.0], [0.0])
    charge = witness.PixelCharge(deposits, (1, 70, 189), witness.NOMINAL)

    hits = charge.hits()

    assert len(hits) > 3
    reset = 0.0
    for time, recorded, _ in hits:
        crossed, held = charge.cumulative([time, time + 1.8])
        assert crossed - reset == pytest.approx(7000.0, abs=0.01)
        assert held - reset == pytest.approx(recorded, abs=1e-6)
        reset = held
    # What is left after the last hit stays below the threshold, unless ten hits were recorded already.
    assert charge.total - reset < 7000.0 or len(hits) == 10
    gaps = np.diff([time for time, _, _ in hits])
    assert gaps.min() >= 1.8
