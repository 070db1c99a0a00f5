"""Losses of hits: their minimum, what they ignore, their derivatives and their reach, on made-up hits in float64."""

from __future__ import annotations

import ast
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geomloss import SamplesLoss

from pipeline.calibrate.losses import LOSSES, charge_norms, neighbours
from pipeline.calibrate.losses.event_hits import EventHits
from pipeline.config.methods import Loss, Method

SETTINGS = Loss()
#: Every loss with default settings, and others that matter.
CASES = {
    **{name: (name, SETTINGS) for name in LOSSES},
    "mmd, gaussian": ("mmd", Loss(kernel="gaussian")),
    "soft_dtw, ADC only": ("soft_dtw", Loss(time_weight=0.0)),
}
EXACT = [case for case, (name, _) in CASES.items() if name != "soft_dtw"]
PITCH = 0.4434

every_loss = pytest.mark.parametrize("case", CASES)
every_exact_loss = pytest.mark.parametrize("case", EXACT)


def loss(case, model, data):
    name, settings = CASES[case]
    return LOSSES[name](model, data, settings)


def track(seed=1, hits=12, *, depth=10.0, volume=0.0):
    """Hits of a track that crosses pixels and drift at an angle, with charges of its own."""
    rng = np.random.default_rng(seed)
    along = np.arange(hits)
    columns = {
        "adc": rng.uniform(82, 115, hits),
        "t": (depth + 0.2 * along) / 0.16 + rng.normal(0, 0.3, hits),
        "x": PITCH * along,
        "y": PITCH * np.round(0.6 * along),
        "volume": np.full(hits, volume),
    }
    return EventHits(**{name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()})


def rearranged(hits, order):
    return EventHits(**{f.name: getattr(hits, f.name)[order] for f in fields(EventHits)})


def joined(*parts):
    return EventHits(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(EventHits)})


def gradient(case, model, data):
    """`(2, h)` derivatives to ADC and time."""
    adc, t = model.adc.detach().clone().requires_grad_(), model.t.detach().clone().requires_grad_()
    found = loss(case, replace(model, adc=adc, t=t), data)
    return torch.stack(torch.autograd.grad(found, [adc, t], materialize_grads=True))


def test_every_loss_is_an_objective_that_the_configuration_offers():
    for name in LOSSES:
        assert Method(objective=name, optimiser="adam").objective == name


@every_exact_loss
def test_a_loss_is_zero_for_equal_hits_and_positive_for_others(case):
    data = track()
    assert float(loss(case, data, data)) == pytest.approx(0, abs=1e-12)
    assert not gradient(case, data, data).abs().max() > 1e-9
    rng = np.random.default_rng(5)
    for _ in range(20):
        size = 10 ** rng.uniform(-2, 1)
        adc, t = (torch.tensor(rng.normal(0, size, len(data))) for _ in range(2))
        assert float(loss(case, replace(data, adc=data.adc + adc, t=data.t + 0.1 * t), data)) > 0


@every_loss
def test_adc_or_time_of_all_hits_pull_back_from_either_side(case):
    """The derivative along a common shift has the sign of the shift, of Soft-DTW only beyond its smoothing."""
    data = track()
    for moved, row in (("adc", 0), ("t", 1)):
        if case == "soft_dtw, ADC only" and moved == "t":
            continue
        for shift in (-3.0, -1.5, 1.5, 3.0):
            model = replace(data, **{moved: getattr(data, moved) + shift})
            assert float(gradient(case, model, data)[row].sum()) * shift > 0
            assert float(loss(case, model, data)) > float(loss(case, data, data))


def test_soft_dtw_of_equal_hits_is_below_zero_by_no_more_than_the_number_of_alignments():
    """The soft minimum of n costs lies within gamma ln n below the smallest, and there are less than 6^hits paths."""
    data = track()
    bias = -float(loss("soft_dtw, ADC only", data, data))
    assert 0 <= bias < len(data) * np.log(6)
    sharp = Loss(gamma=1e-3)
    assert float(LOSSES["soft_dtw"](data, data, sharp)) == pytest.approx(0, abs=1e-2)


@every_exact_loss
def test_the_order_of_the_hits_does_not_matter(case):
    rng = np.random.default_rng(2)
    model, data = joined(track(1), track(2, depth=12.0)), track(3, hits=9)
    # Two hits in one place with different charges: as alike as neighbours can be.
    model = joined(model, replace(rearranged(model, [3]), adc=torch.tensor([99.0], dtype=torch.float64)))
    order_model, order_data = rng.permutation(len(model)), rng.permutation(len(data))
    found = loss(case, rearranged(model, order_model), rearranged(data, order_data))
    assert float(found) == pytest.approx(float(loss(case, model, data)), rel=1e-12)
    np.testing.assert_allclose(
        gradient(case, rearranged(model, order_model), rearranged(data, order_data)),
        gradient(case, model, data)[:, order_model],
        rtol=1e-9,
        atol=1e-12,
    )


@every_loss
@pytest.mark.parametrize("model_hits", [1, 12])
@pytest.mark.parametrize("data_hits", [1, 12])
def test_one_hit_duplicates_and_a_saturated_adc_are_finite(case, model_hits, data_hits):
    model, data = track(1, model_hits), track(2, data_hits)
    model = joined(model, model)
    model.adc[0] = 256.0
    data.adc[-1] = 0.0
    for one, other in ((model, data), (data, model), (model, model)):
        assert torch.isfinite(loss(case, one, other))
        assert torch.isfinite(gradient(case, one, other)).all()


@every_exact_loss
def test_drift_volumes_are_disjoint(case):
    """A hit of another volume on the same pixel at the same time changes nothing here, wherever it goes."""
    model, data = track(1), track(2)
    beyond = track(3, volume=1.0)
    together = gradient(case, joined(model, beyond), joined(data, beyond))[:, : len(model)]
    moved = replace(beyond, t=beyond.t + 5.0)
    np.testing.assert_allclose(
        together, gradient(case, joined(model, moved), joined(data, moved))[:, : len(model)], rtol=1e-9, atol=1e-12
    )
    # What is seen in one volume only has no one to be compared with in the other.
    alone = gradient(case, joined(model, beyond), data)[1, len(model) :]
    assert alone.abs().max() < (1e-9 if case in ("chamfer", "space_match") else 0.1)
    assert float(loss(case, model, replace(data, volume=data.volume + 1))) < 1e4


def test_charge_that_one_side_lacks_costs_in_every_norm_of_charge():
    """Also where what is left has the same shape: the energy distance of unequal charges must not go below zero."""
    data = track()
    dimmed = replace(data, adc=74 + 0.9 * (data.adc - 74))
    for case in ("energy_distance", "mmd", "mmd, gaussian", "multi_scale"):
        assert float(loss(case, dimmed, data)) > 0
        assert gradient(case, dimmed, data)[0].sum() < 0
    assert float(loss("mmd", dimmed, data)) == pytest.approx(0.1**2, rel=1e-9)
    assert float(loss("multi_scale", dimmed, data)) == pytest.approx(5 * 0.1**2, rel=1e-9)
    # What geomloss itself would say.
    points, charge = data.points(0.16), data.adc - 74
    assert float(SamplesLoss("energy", backend="tensorized")(0.9 * charge, points, charge, points)) < 0


def test_energy_distance_of_single_charges_is_their_distance():
    """1/2 (2 k(0) - 2 k(r)) with k = 2 R - r is r, for unit charges."""
    data = track(hits=1)
    model = replace(data, t=data.t + 20.0)
    assert float(loss("energy_distance", model, data)) == pytest.approx(20 * 0.16, rel=1e-12)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_mmd_is_that_of_geomloss(kernel):
    model, data = track(1), track(2)
    oracle = SamplesLoss(kernel, blur=1.0, backend="tensorized")
    sides = [((h.adc - 74) / 100, h.points(0.16)) for h in (model, data)]
    nothing = (torch.zeros(1, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64))
    expected = oracle(*sides[0], *sides[1]) / oracle(*sides[1], *nothing)
    found = LOSSES["mmd"](model, data, Loss(kernel=kernel, kernel_cm=1.0))
    assert found.dtype == torch.float64
    # geomloss takes no distance below 1e-4 cm.
    assert float(found) == pytest.approx(float(expected), rel=1e-6 if kernel == "gaussian" else 2e-3)


def test_energy_distance_of_equal_charges_is_that_of_geomloss():
    """Where both sides have the same charge the far balance drops out."""
    model, data = track(1), track(2)
    model = replace(model, adc=74 + (model.adc - 74) * (data.adc - 74).sum() / (model.adc - 74).sum())
    total = (data.adc - 74).sum()
    sides = [((h.adc - 74) / total, h.points(0.16)) for h in (model, data)]
    expected = SamplesLoss("energy", backend="tensorized")(*sides[0], *sides[1])
    assert float(loss("energy_distance", model, data)) == pytest.approx(float(expected), rel=1e-3)


def test_multi_scale_is_the_integral_over_blurred_maps():
    """Against sums over a grid, for hits of one depth each and one scale."""
    model, data = track(1, hits=3), track(2, hits=4)
    width, step = 0.5, 0.1
    grid = np.arange(-3, 5, step)
    # Depths of 10 to 11 cm.
    x, y, z = np.meshgrid(grid, grid, grid + 10, indexing="ij")

    def density(hits):
        total = np.zeros(x.shape)
        for charge, (px, py, pz) in zip((hits.adc - 74).numpy(), hits.points(0.16).numpy()):
            total += charge * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2) / width**2)
        return total

    expected = ((density(model) - density(data)) ** 2).sum() / (density(data) ** 2).sum()
    found = LOSSES["multi_scale"](model, data, Loss(scales_cm=(width,)))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_chamfer_is_the_mean_nearest_distance_of_both_directions():
    model, data = track(1, hits=5), track(2, hits=8)
    points = [
        np.column_stack([h.points(0.16).numpy(), 0.1 * 0.16 * h.adc.numpy()]) for h in (model, data)
    ]  # fmt: skip
    distance = np.linalg.norm(points[0][:, None] - points[1][None], axis=2)
    expected = 0.5 * (distance.min(axis=1).mean() + distance.min(axis=0).mean())
    assert float(loss("chamfer", model, data)) == pytest.approx(expected, rel=1e-12)


def test_space_match_compares_a_pixel_with_itself_however_far_the_drift_moved():
    """Hits 3 cm deeper are nearer in space to others of the track; their cost is still that of 3 cm of time and the
    ADC difference of their own pixel. Small differences cost r^2/2, large ones c |r|.
    """
    data = track()
    late = replace(data, t=data.t + 3 / 0.16, adc=data.adc + 2.0)
    c, r = SETTINGS.match_scale_adc, np.hypot(30 / 0.16, 2.0)
    expected = c * (np.hypot(c, r) - c)
    assert float(loss("space_match", late, data)) == pytest.approx(expected, rel=1e-9)
    near = replace(data, adc=data.adc + 0.01)
    assert float(loss("space_match", near, data)) == pytest.approx(0.5 * 0.01**2, rel=1e-4)


def test_space_match_takes_the_nearest_in_time_of_a_pixel():
    first, second = track(1, hits=1), track(1, hits=1, depth=13.0)
    data = joined(first, replace(second, adc=second.adc + 9.0))
    assert float(loss("space_match", joined(second, first), data)) == pytest.approx(
        0.5 * float(loss("space_match", second, replace(second, adc=second.adc + 9.0))), rel=1e-9
    )


def test_multi_scale_pulls_where_a_narrow_kernel_no_longer_does():
    """A track displaced by 15 cm of drift: blurred by 8 cm it is still felt, by 1 cm not at all."""
    data = track()
    far = replace(data, t=data.t + 15 / 0.16)
    near = replace(data, t=data.t + 1 / 0.16)

    def relative(settings, name):
        f = LOSSES[name]
        pulls = []
        for model in (far, near):
            t = model.t.clone().requires_grad_()
            pulls.append(float(torch.autograd.grad(f(replace(model, t=t), data, settings), t)[0].sum()))
        return pulls[0] / pulls[1]

    assert relative(SETTINGS, "multi_scale") > 0.03
    assert abs(relative(Loss(kernel="gaussian"), "mmd")) < 1e-12
    assert abs(relative(Loss(scales_cm=(0.5, 1.0)), "multi_scale")) < 1e-12


@every_exact_loss
def test_derivatives_are_those_of_the_loss(case):
    """Hits in two volumes, some without neighbours, in float64."""
    model = joined(track(1, 6), track(4, 3, volume=1.0))
    data = joined(track(2, 5), track(5, 2, volume=1.0))

    def of(adc, t):
        return loss(case, replace(model, adc=adc, t=t), data)

    assert torch.autograd.gradcheck(of, (model.adc.requires_grad_(), model.t.requires_grad_()), eps=1e-5, rtol=1e-5)


def soft_dtw_by_definition(one, other, gamma):
    """The recursion of arXiv:1703.01541 in float64, differentiated automatically."""
    cost, infinite = (one[:, None] - other[None]).abs(), torch.tensor(torch.inf, dtype=torch.float64)
    row = [torch.zeros((), dtype=torch.float64)] + [infinite] * len(other)
    for i in range(len(one)):
        above, row = row, [infinite]
        for j in range(len(other)):
            least = torch.stack([above[j], above[j + 1], row[j]])
            # Where all three are infinite the soft minimum has no derivative, but there none is asked for.
            row.append(cost[i, j] - gamma * torch.logsumexp(-least[torch.isfinite(least)] / gamma, 0))
    return row[-1]


def test_soft_dtw_is_its_definition_within_single_precision():
    """tslearn works in float32: what that leaves of the value and of the derivatives is seen here."""
    model, data = track(1, hits=20), track(2, hits=17)
    adc, t = model.adc.clone().requires_grad_(), model.t.clone().requires_grad_()
    expected = soft_dtw_by_definition(adc, data.adc, 1.0) + soft_dtw_by_definition(t, data.t, 1.0)
    assert float(loss("soft_dtw", model, data)) == pytest.approx(float(expected.detach()), rel=1e-6)
    for found, exact in zip(gradient("soft_dtw", model, data), torch.autograd.grad(expected, [adc, t])):
        np.testing.assert_allclose(found, exact, atol=1e-4 * float(exact.abs().max()), rtol=0)


@pytest.mark.parametrize("case", EXACT)
def test_blocks_change_nothing(case, monkeypatch):
    """Freak events are worked on in blocks: the same numbers and derivatives."""
    model, data = track(1, 40), track(2, 30)
    whole, slopes = loss(case, model, data), gradient(case, model, data)
    for module in (charge_norms, neighbours):
        monkeypatch.setattr(module, "_AT_ONCE", 100)
    assert float(loss(case, model, data)) == pytest.approx(float(whole), rel=1e-12)
    np.testing.assert_allclose(gradient(case, model, data), slopes, rtol=1e-9, atol=1e-14)


def test_slow_libraries_are_imported_where_they_are_used():
    """Loading them, and their first use, costs seconds."""
    for path in Path(charge_norms.__file__).parent.glob("*.py"):
        at_import = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
        assert not {"tslearn", "geomloss"} & {
            word for n in at_import for word in ast.unparse(n).replace(".", " ").split()
        }
