import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from pipeline.report import words
from pipeline.report.outcome import Fit, parameter_of
from pipeline.report.page import Run, Sample, render_page
from pipeline.storage.detector import load_geometry
from pipeline.storage.timings import Timing
from pipeline.tables import Segments

from .samples import (
    CUT_FLOW,
    NOISELESS,
    NOISY,
    fit_result,
    hits_compared,
    measured_fits,
    measured_result,
    some_fits,
    straight_tracks,
)

GEOMETRY = load_geometry("module0")
HOSTILE = "</script><script>alert(1)</script><img src=http://evil.test/x onerror=alert(2)>{{ 7 * 7 }}"


def page(
    fits: Sequence[Fit], segments: Segments | None = None, title: str = "A calibration", run: Run | None = None
) -> str:
    used = straight_tracks() if segments is None else segments
    return render_page(title, Sample(used, CUT_FLOW, ("one deposit was dropped",), {}), fits, GEOMETRY, run=run)


class Reader(HTMLParser):
    """Elements with their attributes, the text of scripts, and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._script: dict[str, str | None] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._script = dict(attrs) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text += data
        else:
            self.scripts.append((self._script, data))

    def cells(self, kind: str) -> list[float]:
        """Exact values of the table cells of one class."""
        return [
            float(a["data-value"] or "nan")
            for tag, a in self.elements
            if tag == "td" and a.get("class") == kind and "data-value" in a
        ]


def test_nothing_is_loaded_from_outside() -> None:
    html = page(some_fits())
    reader = Reader(html)
    tags = [tag for tag, _ in reader.elements]
    assert not {"link", "img", "iframe", "object", "base"} & set(tags)
    references = [a[k] for _, a in reader.elements for k in ("src", "href", "srcset", "data", "action") if k in a]
    assert all(str(reference).startswith("#") for reference in references)
    assert "http" not in html.replace(get_plotlyjs(), "").replace("http-equiv", "")
    policy = next(str(a["content"]) for _, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_links_lead_somewhere() -> None:
    reader = Reader(page(some_fits()))
    ids = [a["id"] for _, a in reader.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for _, a in reader.elements if "href" in a} <= set(ids)


def test_plotly_is_there_exactly_once() -> None:
    assert page(some_fits()).count("* plotly.js v") == 1


def test_no_button_sends_data_away() -> None:
    """Plotly's standard buttons include an upload; ours are listed one by one and its server is set to nothing."""
    own = Reader(page(some_fits())).scripts[-1][1]
    assert 'plotlyServerURL: ""' in own
    assert re.search(r'modeBarButtons: \[\["toImage", "resetCameraDefault3d"\]\]', own)


def test_every_figure_has_its_place() -> None:
    reader = Reader(page(some_fits()))
    figures = {str(a["data-figure"]): json.loads(text) for a, text in reader.scripts if "data-figure" in a}
    places = {str(a["id"]) for tag, a in reader.elements if tag == "div" and "id" in a}
    of_sample = [name for name in figures if name.startswith("figure-sample-")]
    assert len(figures) - len(of_sample) == 1 + 6 + 1 + 3
    assert set(figures) == places


def test_every_target_and_its_verdict_are_there() -> None:
    fits = [
        *some_fits(10),
        Fit("target_11", "gauss_newton", fit_result(3, converged=False, status="It ran off."), NOISELESS),
    ]
    reader = Reader(page(fits))
    assert all(reader.text.count(f"target_{n}") >= 3 for n in range(1, 12))
    assert "10 of 11 fits converged; not to be used: target_11." in reader.text
    assert "It ran off." in reader.text
    cards = {str(a["id"]): a for tag, a in reader.elements if tag == "details" and "id" in a}
    assert [a["class"] for a in cards.values()] == 10 * ["fit good"] + ["fit bad"]
    assert "open" in cards["fit-11"], "a failed fit is never folded away"
    assert "open" not in cards["fit-1"]


def test_red_is_only_where_a_fit_failed() -> None:
    def classes(html: str) -> set[str]:
        return {word for _, a in Reader(html).elements for word in str(a.get("class", "")).split()}

    assert "bad" not in classes(page(some_fits()))
    assert {"bad", "mixed"} <= classes(page([*some_fits(), Fit("x", "m", fit_result(converged=False))]))


def test_numbers_in_the_tables_are_those_of_the_fits() -> None:
    fits = some_fits(2)
    reader = Reader(page(fits))
    parameters = [p for fit in fits for p in fit.result.parameters]
    assert reader.cells("initial") == [p.initial for p in parameters]
    assert reader.cells("fitted") == [p.value for p in parameters]
    assert reader.cells("target") == [p.target for p in parameters]


def test_shown_numbers_are_the_exact_ones_rounded() -> None:
    html = page(some_fits(1))
    cells = re.findall(r'<td class="(?:initial|fitted|target)" data-value="([^"]+)"[^>]*>([^<]+)</td>', html)
    assert len(cells) == 18
    for exact, shown in cells:
        ratio = float(exact) / float(shown)
        power = round(np.log10(ratio))
        assert power in (0, -6), "diffusion constants stand in units of 1e-6"
        assert ratio / 10.0**power == pytest.approx(1.0, abs=1e-5)


def test_headline_error_is_the_largest_in_the_tables() -> None:
    fits = some_fits(4)
    errors = [abs(p.value / p.target - 1.0) for fit in fits for p in fit.result.parameters if p.target]
    assert f"any fitted parameter is {words.percent(max(errors))} (" in Reader(page(fits)).text


def test_a_value_without_uncertainty_says_so_and_has_no_pull() -> None:
    text = Reader(page(some_fits(1))).text
    assert text.count("not estimated: no noise model") == 6
    assert "Pull" not in text and "±" not in text


def test_uncertainty_stands_wherever_a_fitted_value_does() -> None:
    result = measured_result()
    first = replace(result.parameters[0], value=0.8213, target=0.8, uncertainty=0.0104)
    result = replace(result, parameters=(first, *result.parameters[1:]))
    reader = Reader(page([Fit("a", "likelihood", result, NOISY)]))
    assert "0.821 ± 0.010" in reader.text and "1.3 %" in reader.text and "+2.05" in reader.text
    figures = {str(a["data-figure"]): json.loads(text) for a, text in reader.scripts if "data-figure" in a}
    (bar,) = [trace for trace in figures["figure-value-0"]["data"] if "error_y" in trace]
    assert (bar["y"], bar["error_y"]["array"]) == ([0.8213], [0.0104])
    assert "0.821 ± 0.010" in bar["hovertemplate"]
    assert {"figure-pulls", "figure-correlation-0"} <= set(figures)


def test_the_verdict_of_a_fit_and_of_the_page_have_one_colour() -> None:
    """A single fit decides the page: its badge, its box and the headline are of the same class."""
    bad = fit_result(converged=False)
    noisy = {"config": {"data": {"noise": True}}}
    fits = [Fit("a", "m", fit_result(), NOISELESS), Fit("a", "m", fit_result(), noisy), Fit("a", "m", bad, NOISELESS)]
    for fit, verdict in zip(fits, ("good", "care", "bad"), strict=True):
        classes = [str(a["class"]) for _, a in Reader(page([fit])).elements if a.get("class")]
        assert f"verdict {verdict}" in classes and f"fit {verdict}" in classes
        assert classes.count(f"badge {verdict}") == 2
        others = {"good", "care", "bad", "mixed"} - {verdict}
        assert not others & {word for text in classes for word in text.split()}


def test_noisy_and_noiseless_fits_stand_on_one_page() -> None:
    fits = [*measured_fits(2), *some_fits(2), Fit("target_3", "likelihood", fit_result(3, converged=False), NOISY)]
    reader = Reader(page(fits))
    figures = {str(a["data-figure"]) for a, _ in reader.scripts if "data-figure" in a}
    assert {name for name in figures if "correlation" in name} == {"figure-correlation-0", "figure-correlation-1"}
    assert "Without pulls, as these fits give no uncertainty: target_1 (gauss_newton)" in reader.text
    assert figures == {
        str(a["id"]) for tag, a in reader.elements if tag == "div" and str(a.get("id", "")).startswith("figure")
    }


def test_without_targets_there_are_no_distances_and_the_page_says_so() -> None:
    reader = Reader(page([Fit("data", "m", fit_result(known=False))]))
    assert "this page shows no distances to them" in reader.text
    assert not reader.cells("target")
    assert "figure-distance" not in [a.get("id") for _, a in reader.elements]
    assert "Difference" not in reader.text.replace("no difference from them", "")


def test_hostile_names_are_shown_as_text() -> None:
    result = replace(fit_result(converged=False, status=HOSTILE), warnings=(HOSTILE,))
    fit = Fit(HOSTILE, HOSTILE, result, {"config": {"seed": HOSTILE}, "code_hash": HOSTILE})
    clean, html = page(some_fits(1)), page([fit], title=HOSTILE)
    reader = Reader(html)
    assert HOSTILE in reader.text
    assert [t for t, _ in reader.elements if t in ("script", "img")] == ["script"] * clean.count("<script")
    assert not any(key.startswith("on") for _, attributes in reader.elements for key in attributes)
    for attributes, text in reader.scripts:
        if "data-figure" in attributes:
            assert "<img" not in json.dumps(json.loads(text)), "plotly would take it for markup"


def test_parameters_of_another_version_are_shown_too() -> None:
    result = fit_result()
    strange = replace(result.parameters[0], name="ion_feedback", unit="1/cm")
    history = {"ion_feedback": result.history["birks_ab"], "matched": result.history["matched"]}
    text = Reader(page([Fit("a", "m", replace(result, parameters=(strange,), history=history))])).text
    assert text.count("Ion feedback") == 1 and "ion feedback" in text.replace("Ion feedback", "")


def test_equal_input_gives_equal_text_without_a_date() -> None:
    assert page(some_fits()) == page(some_fits())


def test_cut_flow_is_shown_with_its_shares() -> None:
    html = page(some_fits(1))
    row = html[html.index("drift_angle") :].split("</tr>")[0]
    assert re.findall(r"<td>([^<]+)</td>", row) == ["4", "30", "300", "750"]
    widths = [float(w) for w in re.findall(r'class="bar" style="width:([\d.]+)%', html)]
    assert np.array(widths) / widths[0] == pytest.approx([1.0, 0.75, 0.25])


@pytest.mark.parametrize("events", [1, 100])
def test_a_large_sample_stays_a_small_page(events: int) -> None:
    html = page(some_fits(15), straight_tracks(100_000, events))
    assert len(html.encode()) < 8e6
    assert ("largest deposits are drawn" in html) == (events == 1)


def complete(fit: Fit, hits: int = 200) -> Fit:
    """A fit as the workflow makes it, with a comparison of hits and links."""
    compared = {"fitted": hits_compared(hits, seed=1), "initial": hits_compared(hits, only_model=20, seed=3)}
    settings = {"objective": "soft_dtw", "optimiser": "adam", "adam": {"batch_length_cm": 100.0}}
    provenance = {"config": {"method": {fit.method: settings}}, "inputs": {"segments": "ab" * 32}, "stage": "fit"}
    folder = f"{fit.target}/{fit.method}"
    files = {"fit.h5": f"{folder}/fit.h5", "fit.json": f"{folder}/fit.json"}
    return replace(fit, comparison=compared, provenance=provenance, files=files)


def test_every_fit_can_be_chosen_and_has_its_hits() -> None:
    fits = [complete(fit) for fit in some_fits(2)]
    reader = Reader(page(fits))
    keys = [str(a["data-choice"]) for a, _ in reader.scripts if "data-choice" in a]
    assert keys == ["0-fitted", "0-initial", "1-fitted", "1-initial"]
    parts = [a for _, a in reader.elements if a.get("class") == "choice"]
    assert [a["data-key"] for a in parts] == 2 * keys
    assert ["hidden" in a for a in parts] == 2 * [False, True, True, True]
    ids = {a["id"] for _, a in reader.elements if "id" in a}
    for attributes, text in reader.scripts:
        if "data-choice" in attributes:
            assert set(json.loads(text)) <= ids
    assert {"choose-fit", "choose-stage"} <= ids


def test_numbers_of_a_fit_lead_to_its_files() -> None:
    fits = [complete(fit) for fit in some_fits(2)]
    html = page(fits)
    for fit in fits:
        shown = words.number(words.scaled(parameter_of(fit.result.parameters[0]), fit.result.parameters[0].value))
        assert f'href="{fit.files["fit.json"]}">{shown}</a>' in html
        assert f'href="{fit.files["fit.h5"]}">' in html


def test_a_page_of_many_long_fits_stays_small() -> None:
    """Ten targets by six methods, 5000 iterations each."""
    steps = np.arange(5001)
    fits = []
    for n in range(60):
        fit = Fit(f"target_{n % 10}", f"method_{n // 10}", fit_result(n % 10))
        random = np.random.default_rng(n)
        history = {k: v[-1] * (1 + random.normal(0, 0.01, len(steps))) for k, v in fit.result.history.items()}
        fits.append(complete(replace(fit, result=replace(fit.result, history=history, iterations=5000)), hits=800))
    size = len(page(fits, straight_tracks(20_000, 20)).encode())
    assert size < 10e6


def test_times_stand_apart_and_change_nothing_else() -> None:
    fits = [complete(replace(fit, method=method)) for fit in some_fits(2) for method in ("quick", "slow")]

    def timed(seconds: float) -> str:
        timings = [Timing("fit", fit.target, fit.method, work_seconds=seconds, work_mib=100.0) for fit in fits]
        return page(fits, run=Run([*timings, Timing("select", job_seconds=seconds)]))

    one, other = timed(5.0), timed(7.25)
    assert one != other
    without = [re.sub("<!-- timings -->.*?<!-- /timings -->", "", html, flags=re.DOTALL) for html in (one, other)]
    assert without[0] == without[1]
    assert "7.25" in Reader(other).text and "7.25" not in Reader(without[1]).text
    reader = Reader(one)
    assert {"cost", "methods", "figure-method-seconds"} <= {a["id"] for _, a in reader.elements if "id" in a}
    assert 'id="cost"' not in page(fits)


def test_a_fit_of_other_deposits_is_pointed_out() -> None:
    fits = [complete(fit) for fit in some_fits(2)]
    sample = Sample(straight_tracks(), CUT_FLOW, (), {}, content_hash="cd" * 32)
    assert "other energy deposits than those shown above: target_1, target_2" in render_page(
        "t", sample, fits, GEOMETRY
    )
    assert "other energy deposits" not in render_page("t", replace(sample, content_hash="ab" * 32), fits, GEOMETRY)


def test_versions_and_settings_are_readable() -> None:
    text = Reader(page([complete(fit) for fit in some_fits(1)], run=Run(versions={"torch": "2.13.0"}))).text
    assert "2.13.0" in text
    assert "method.gauss_newton.optimiser" in text


def test_the_page_tells_how_far_fitted_tracks_are_from_the_true_ones() -> None:
    fit = some_fits(1)[0]
    assert "from the true ones" not in Reader(page([fit])).text
    places = {"position_rms_um": 182.34, "position_missed_fraction": 0.034}
    moved = replace(fit, result=replace(fit.result, diagnostics={**fit.result.diagnostics, **places}))
    text = Reader(page([moved])).text
    assert "182 μm from the true ones (rms, across them); 3.4 % of the true path has no track within 1 cm" in text
    lost = replace(fit, result=replace(fit.result, diagnostics={"position_missed_fraction": 1.0}))
    assert "None of the fitted tracks is within 1 cm" in Reader(page([lost])).text


def test_the_page_tells_when_fits_got_reconstructed_segments() -> None:
    fits = some_fits(2)
    made = [replace(f, provenance={**f.provenance, "inputs": {"reconstructed": "ab" * 32}}) for f in fits]

    def text(fits: Sequence[Fit], shown: str) -> str:
        sample = Sample(straight_tracks(), CUT_FLOW, (), {}, content_hash=shown)
        return " ".join(Reader(render_page("t", sample, fits, GEOMETRY)).text.split())

    told = text(made, "cd" * 32)
    assert "The hits were simulated from" in told and "The fits got none of these deposits" in told
    assert f"{made[0].target} got none of these deposits" in text([made[0], fits[1]], "cd" * 32)
    # What the page shows is what they got.
    assert "The fits use" in text(made, "ab" * 32) and "The fits use" in text(fits, "cd" * 32)
