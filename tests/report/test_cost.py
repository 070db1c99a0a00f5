from pathlib import Path

from pipeline.report.cost import by_job, by_stage
from pipeline.report.outcome import Fit
from pipeline.storage.timings import Timing

from .samples import fit_result

TIMINGS = [
    Timing("fit", "t1", "m", 8.0, 400.0, 6.0, 500.4, (Path("a/fit.tsv"), Path("a/fit.timing.json"))),
    Timing("select", job_seconds=2.0, job_mib=None),
    Timing("fit", "t2", "m", 10.0, 700.0),
]
FITS = [Fit("t1", "m", fit_result(steps=6)), Fit("t2", "m", fit_result(steps=6))]


def test_stages_come_in_the_order_in_which_they_run_with_their_sums() -> None:
    select, fit = by_stage(TIMINGS)
    assert (select["stage"], select["memory"]) == ("select", "–")
    assert fit == {"stage": "fit", "jobs": "2", "total": "18.00", "longest": "10.00", "memory": "700"}


def test_a_job_has_its_rates_and_its_files() -> None:
    rows = by_job(TIMINGS, FITS, {"fit": 300.0}, {"a/fit.tsv": "benchmarks/fit.tsv"})
    select, first, second = rows
    assert (select["per_cm"], select["each"]) == ("–", "–")
    assert (first["job"], first["work"], first["each"], first["per_cm"]) == ("8.00", "6.00", "1.00", "20.0")
    assert (first["memory"], first["links"]) == ("500", [("fit.tsv", "benchmarks/fit.tsv")])
    assert (second["work"], second["per_cm"]) == ("–", "33.3")


def test_no_times_no_rows() -> None:
    assert by_stage([]) == [] and by_job([], FITS, {}, {}) == []
