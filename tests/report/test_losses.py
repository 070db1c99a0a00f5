from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from plotly.graph_objects import Figure

from pipeline.config.methods import Method
from pipeline.report import curves, losses
from pipeline.report.outcome import Fit, distance_history, titled
from pipeline.storage.timings import Timing

from .samples import fit_result


def recorded(objective: str, optimiser: str, method: str) -> dict[str, object]:
    return {"config": {"method": {method: {"objective": objective, "optimiser": optimiser}}}}


def two_methods(steps: int = 300) -> list[Fit]:
    quick = [Fit(f"target_{n}", "quick", fit_result(n, steps=6),
                 recorded("matched_residuals", "levenberg_marquardt", "quick")) for n in range(2)]  # fmt: skip
    slow = [Fit(f"target_{n}", "slow", slowly(n, steps), recorded("soft_dtw", "adam", "slow")) for n in range(2)]
    return list(titled([*quick, *slow]))


def slowly(seed: int, steps: int):
    result = fit_result(seed, steps=steps)
    ratio = np.exp(-np.arange(steps + 1) / steps * 5)
    history = {p.name: p.target + (p.initial - p.target) * ratio for p in result.parameters}
    parameters = tuple(replace(p, value=float(history[p.name][-1])) for p in result.parameters)
    return replace(result, history={**history, "objective": 7.0 * ratio}, parameters=parameters, iterations=steps)


TIMINGS = [
    Timing("fit", f"target_{n}", m, work_seconds=s) for n in range(2) for m, s in (("quick", 3.0), ("slow", 60.0))
]


def test_only_targets_with_several_methods_are_compared() -> None:
    alone = Fit("target_9", "quick", fit_result(9))
    fits = two_methods()
    assert [f.title for f in losses.compared([*fits, alone])] == [f.title for f in fits]
    assert losses.compared([f for f in fits if f.method == "quick"]) == []


def test_the_table_says_what_each_method_is_and_where_it_ends() -> None:
    fits = two_methods()
    quick, slow = losses.table(fits, TIMINGS)
    assert (quick["loss"], slow["loss"]) == ("matched residuals", "soft dtw")
    assert quick["meaning"] != slow["meaning"] and quick["how"] != slow["how"]
    assert (slow["iterations"], slow["seconds"], slow["each"]) == ("300", "60.0", "0.200")
    ends = [distance_history(f.result)[-1] for f in fits if f.method == "slow"]
    assert slow["worst"].startswith(f"{100 * max(ends):.2g}"[:3])
    assert losses.table(fits, [])[0]["seconds"] is None


def test_every_loss_and_optimiser_of_the_configuration_is_explained() -> None:
    fields = Method.model_fields
    assert set(get_args(fields["objective"].annotation)) <= set(losses.LOSSES)
    assert set(get_args(fields["optimiser"].annotation)) <= set(losses.OPTIMISERS)


def test_figures_begin_and_end_where_the_fits_do() -> None:
    fits = two_methods()
    against = [losses.distance_by_iteration(fits), losses.distance_by_seconds(fits, TIMINGS)]
    for figure in against:
        assert figure is not None
        Figure(figure)
        assert len(figure["data"]) == 4
        for fit, trace in zip(fits, figure["data"], strict=True):
            distance = distance_history(fit.result)
            assert trace["y"][0] == pytest.approx(distance[0], rel=1e-5)
            assert trace["y"][-1] == pytest.approx(distance[-1], rel=1e-5)
    iterations, seconds = against
    assert iterations["layout"]["xaxis"]["type"] == "log"
    assert iterations["data"][2]["x"][0] == curves.START and iterations["data"][2]["x"][-1] == 300
    assert [t["x"][-1] for t in seconds["data"]] == [3.0, 3.0, 60.0, 60.0]
    assert sum(t["showlegend"] for t in iterations["data"]) == 2
    assert len({t["line"]["color"] for t in iterations["data"]}) == 2


def test_objectives_are_drawn_over_their_start() -> None:
    figure = losses.objective_by_iteration(two_methods())
    assert figure is not None
    assert {trace["y"][0] for trace in figure["data"]} == {1.0}


def test_a_loss_below_zero_is_not_drawn_on_a_logarithmic_axis() -> None:
    fits = two_methods()
    negative = replace(fits[0].result, history={**fits[0].result.history, "objective": np.array([5.0, -1.0])})
    figure = losses.objective_by_iteration([replace(fits[0], result=negative), *fits[1:]])
    assert figure is not None and len(figure["data"]) == len(fits) - 1


def test_without_times_or_targets_there_is_no_such_figure() -> None:
    assert losses.distance_by_seconds(two_methods(), []) is None
    unknown = [Fit("a", m, fit_result(known=False)) for m in ("x", "y")]
    assert losses.distance_by_iteration(unknown) is None


def test_long_histories_are_thinned_without_their_ends() -> None:
    for length, number in ((5001, 1), (5001, 60), (2, 3), (400, 1)):
        kept = curves.thinned(length, number)
        assert kept[0] == 0 and kept[-1] == length - 1
        assert (np.diff(kept) > 0).all()
        assert len(kept) <= 400
    assert set(range(10)) <= set(curves.thinned(5001).tolist()), "the first steps are those that matter most"
    assert len(curves.thinned(5001, 60)) * 60 <= 6100
