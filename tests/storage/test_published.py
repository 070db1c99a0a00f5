"""The table of published fits."""

import numpy as np
import pytest

from pipeline.errors import FileFormatError
from pipeline.parameters import CALIBRATED
from pipeline.storage.published import read_published
from tests.report.paper_samples import write_published


def test_a_fit_is_read_with_its_targets_and_distances(tmp_path):
    path = tmp_path / "published.csv"
    write_published(path, {"muon_1GeV": 2, "mu_pi_p_mom_range": 1})
    fits = read_published(path)
    assert [fit.family for fit in fits] == ["muon_1GeV", "muon_1GeV", "mu_pi_p_mom_range"]
    assert tuple(fits[0].target) == CALIBRATED
    # The last value is that of the end of the fit, which had fewer than 5000 iterations.
    np.testing.assert_array_equal(fits[0].iterations, [0, 500, 1000, 2000, 3000, 4914])
    np.testing.assert_allclose(fits[0].distance[1:], [0.1, 0.05, 0.02, 0.01, 0.001])


def test_the_published_table_has_the_figures_of_the_paper(shared_data):
    fits = read_published(shared_data / "published_fits.csv")
    for family, count, median, worst in (
        ("muon_1GeV", 10, 1.18e-3, 1.93e-3),
        ("mu_pi_p_mom_range", 5, 2.6e-3, 4.27e-3),
    ):
        last = [fit.distance[-1] for fit in fits if fit.family == family]
        assert len(last) == count
        assert np.median(last) == pytest.approx(median, rel=0.01)
        assert max(last) == pytest.approx(worst, rel=0.01)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda text: text.replace("val_1000", "value"), "the column val_1000 is missing"),
        (lambda text: text.replace("kb", "kappa", 1), "the parameter 'kappa' in line 3"),
        (lambda text: text.replace("4914", "many", 1), "n_steps in line 2 is 'many', not a number"),
        (lambda text: "", "the column family is missing"),
    ],
)
def test_another_table_is_refused(tmp_path, spoil, complaint):
    path = tmp_path / "published.csv"
    write_published(path, {"muon_1GeV": 1})
    path.write_text(spoil(path.read_text()))
    with pytest.raises(FileFormatError, match=complaint):
        read_published(path)


def test_bytes_are_refused(tmp_path):
    path = tmp_path / "published.csv"
    path.write_bytes(b"\xff\xfe\x00\x01" * 9)
    with pytest.raises(FileFormatError, match="no table of published fits"):
        read_published(path)
