"""The paper's figures and tables: all there, true captions, the same bytes again."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ConfigError, FileFormatError
from pipeline.parameters import table
from pipeline.report import paper
from pipeline.report.paper_fits import MIXED, MUONS, VALUE_HEAD, family_of, fit_rows, parameter_curves, value_rows
from pipeline.report.plots import thinned
from pipeline.rounding import rounded
from pipeline.storage.published import read_published
from tests.report.paper_samples import paper_fits, scaling, track_lengths, write_published
from tests.report.samples import measured_fits

MUON_TRACKS = {"muons": 900.0, "electrons": 300.0}
MIXED_TRACKS = {"muons": 300.0, "pions": 500.0, "protons": 300.0}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "published.csv"
    write_published(path, {"muon_1GeV": 1, "mu_pi_p_mom_range": 2})
    return read_published(path)


def studies():
    return [scaling("muons"), track_lengths("muons", MUON_TRACKS), track_lengths("mixed", MIXED_TRACKS)]


@pytest.fixture(scope="module")
def drawn(published):
    return paper.draw(studies(), [*paper_fits(MUONS), *paper_fits(MIXED, "mixed")], published)


def few(published):
    """Fewer figures, for drawing them takes time."""
    return paper.draw([track_lengths("muons", MUON_TRACKS)], paper_fits(MUONS), published)


@pytest.fixture(scope="module")
def written(published):
    return paper.files(few(published))


def caption(drawn, stem):
    return next(d.caption for d in drawn.drawings if d.stem == stem)


def test_every_figure_is_there_and_what_is_not_is_said(drawn):
    assert [d.stem for d in drawn.drawings] == [f"fig{n:02d}" for n in (4, 5, 6, 7, 8, 13, 14, 15, 16, 17)]
    assert drawn.missing == ["Fig. 2 and 3: no study `relaxations` was given."]


def test_every_figure_and_table_is_written_in_two_ways(written):
    stems = ["fig13", "fig15", "fig17"]
    names = {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    tables = {f"{stem}.{kind}" for stem in ("table1", "fits", "values") for kind in ("csv", "md")}
    assert set(written) == names | tables | {"paper.html"}
    assert written["fig13.png"].startswith(b"\x89PNG") and b"<svg" in written["fig13.svg"]


def test_fitted_values_stand_with_their_uncertainty_where_there_is_one():
    fits = [replace(f, fit=measured) for f, measured in zip(paper_fits(MUONS), measured_fits(1))]
    first = fits[0].fit.result.parameters[0]
    fixed = replace(first, name="density", free=False)
    known = replace(fits[0].fit.result, parameters=(*fits[0].fit.result.parameters, fixed))
    rows = value_rows([replace(fits[0], fit=replace(fits[0].fit, result=known)), *paper_fits(MIXED, "mixed")[:1]])
    assert len(rows) == 12, "what is held fixed is no result"
    by_name = dict(zip(VALUE_HEAD, rows[0]))
    assert by_name["value"] == str(rounded(first.value, first.uncertainty))
    assert float(by_name["uncertainty [%]"]) == pytest.approx(100 * first.uncertainty / first.value, rel=0.05)
    assert float(by_name["pull"]) == pytest.approx((first.value - first.target) / first.uncertainty, abs=0.006)
    without = dict(zip(VALUE_HEAD, rows[6]))
    assert "+-" not in without["value"] and without["pull"] == without["uncertainty [%]"] == ""
    assert "one standard uncertainty" in parameter_curves(fits, [], "muons")[1]
    assert "one standard uncertainty" not in parameter_curves(paper_fits(MUONS), [], "muons")[1]


def test_the_same_numbers_give_the_same_bytes(written, published):
    again = paper.files(few(published))
    assert {name for name in written if written[name] != again[name]} == set()
    assert b"<dc:date>" not in written["fig17.svg"]


def test_the_page_needs_no_other_file(written):
    page = written["paper.html"].decode()
    assert page.count("data:image/svg+xml;base64,") == 3
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    for name in re.findall(r'href="([^#"]+)"', page):
        assert name in written


def test_captions_name_sample_settings_and_numbers(drawn):
    text = caption(drawn, "fig04")
    assert "the sample muons" in text and "float64, default accuracy, 2 threads on cpu" in text
    assert "All 100 cm: 1 ms/cm, 2 ms/cm with the gradient" in text
    assert "40 hits are the same to the last bit" in caption(drawn, "fig06")
    assert "(2.0 to 2.0 times)" in caption(drawn, "fig07")
    assert "They leave 480 of 1\u202f200 cm" in caption(drawn, "fig13")
    assert "the sample mixed" in caption(drawn, "fig14")


def test_a_difference_with_derivatives_is_not_hidden():
    drawn = paper.draw([scaling("muons", identical=False)], [], [])
    assert "4 batches differ, by up to 0.001 ADC counts" in caption(drawn, "fig06")


def test_published_fits_are_counted_or_said_to_be_left_out(drawn):
    assert "1 published fit of muons of 1 GeV" in caption(drawn, "fig15")
    assert "2 published fits of muons, pions and protons" in caption(drawn, "fig16")
    assert "3 published fits" in caption(drawn, "fig17")
    without = paper.draw(studies(), paper_fits(MUONS, seconds=None), [])
    assert all("Published fits are left out" in caption(without, stem) for stem in ("fig15", "fig17"))
    assert "The times of these fits are not known" in caption(without, "fig17")
    assert "Fig. 16: no fit of muons, pions and protons was given." in without.missing


def test_fits_that_did_not_converge_are_counted():
    fits = paper_fits(MUONS)
    bad = fits[0].fit.result.__class__(**{**vars(fits[0].fit.result), "converged": False})
    fits[0] = fits[0].__class__("muons", MUONS, fits[0].fit.__class__("target_1", "gauss_newton", bad))
    text = caption(paper.draw([], fits, []), "fig15")
    assert "2 fits by gauss_newton and 2 fits by adam, of which 1 did not converge" in text


def test_several_samples_of_a_kind_have_figures_of_their_own():
    two = [scaling("a"), scaling("b"), track_lengths("a", MUON_TRACKS), track_lengths("b", MUON_TRACKS)]
    fits = [*paper_fits(MUONS, "a"), *paper_fits(MUONS, "b")]
    stems = [d.stem for d in paper.draw(two, fits, []).drawings]
    assert {"fig04_a", "fig04_b", "fig13_a", "fig13_b", "fig15_a", "fig15_b", "fig17"} <= set(stems)
    with pytest.raises(ConfigError, match="scaling of a is given twice"):
        paper.draw([two[0], two[0]], [], [])


def test_a_study_of_another_version_is_refused():
    broken = scaling("muons")
    del broken["batches"]
    with pytest.raises(FileFormatError, match="scaling of muons is not as this version writes it"):
        paper.draw([broken], [], [])
    with pytest.raises(FileFormatError, match="basin of muons is not as this version writes it"):
        paper.draw([{"study": "basin", "sample": "muons"}], [], [])


def test_the_family_is_told_by_the_lengths_of_the_species():
    assert family_of(track_lengths("a", MUON_TRACKS)["species"]) is MUONS
    assert family_of(track_lengths("a", MUON_TRACKS | {"protons": 50.0})["species"]) is MUONS
    assert family_of(track_lengths("a", MIXED_TRACKS)["species"]) is MIXED


def test_table_one_is_the_parameter_table(written):
    rows = list(csv.DictReader(io.StringIO(written["table1.csv"].decode())))
    assert len(rows) == 6
    for row in rows:
        p = table()[row["name"]]
        assert (float(row["nominal"]), float(row["low"]), float(row["high"])) == (p.nominal, p.low, p.high)
    assert written["table1.md"].decode().count("\n") == 8


def test_errors_in_the_table_are_those_of_the_fits(published, monkeypatch):
    monkeypatch.setattr("pipeline.report.paper_fits.MILESTONES", (2, 6, 8, 9))
    head, rows = fit_rows(paper_fits(MUONS, count=1), published)
    assert all(len(row) == len(head) for row in rows)
    first, second = (dict(zip(head, row, strict=True)) for row in rows[:2])
    start = float(paper_fits(MUONS, count=1)[0].distance[0])
    assert float(first["error at 2"]) == pytest.approx(start / 100, rel=0.01)
    assert first["error at 8"] == "" and float(second["error at 8"]) == pytest.approx(start / 1e8, rel=0.01)
    assert float(first["seconds per iteration"]) == 10.0
    assert first["published end, same target"] == "0.001"
    published_row = dict(zip(head, rows[2], strict=True))
    assert published_row["target"] == "median of 1" and published_row["error at the end"] == "0.001"


def test_a_fit_without_known_targets_has_no_published_twin(published):
    fit = paper_fits(MUONS, count=1)[0]
    result = fit.fit.result
    for known in (0, 3):  # all six are known in the test above
        parameters = tuple(replace(p, target=p.target if i < known else None) for i, p in enumerate(result.parameters))
        other = replace(fit, fit=replace(fit.fit, result=replace(result, parameters=parameters)))
        assert fit.twin(published) is not None and other.twin(published) is None


def test_thinned_curves_keep_both_ends():
    for count in (1, 7, 500, 501, 5001):
        rows = thinned(count)
        assert rows[0] == 0 and rows[-1] == count - 1
        assert len(rows) <= 501 and np.all(np.diff(rows) > 0)
    assert set(range(20)) <= set(thinned(5001).tolist())
