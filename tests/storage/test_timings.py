"""Times of jobs are read where they are, and left out where they are not."""

from pathlib import Path

from pipeline.storage.timings import Timing, read_timings

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
ROW = "{}\t0:00:04\t{}\t1005.52\t298.50\t329.61\t4.29\t0.06\t64.95\t3.21\n"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_benchmark_and_timing_of_a_job_are_one(tmp_path):
    files = [
        written(tmp_path / "benchmarks/select.tsv", HEAD + ROW.format(2.5, 80)),
        written(tmp_path / "benchmarks/t1/m/fit.tsv", HEAD + ROW.format(4.0, 430.3) + ROW.format(6.0, 440.0)),
        written(tmp_path / "t1/m/fit.timing.json", '{"what": "fit", "seconds": 3.25, "peak_memory_mib": 446.4}'),
        written(tmp_path / "t1/hits.timing.json", '{"what": "simulate", "seconds": 1.5, "peak_memory_mib": 300}'),
    ]
    select, fit, simulate = read_timings(files)
    assert select == Timing("select", job_seconds=2.5, job_mib=80.0, paths=(files[0],))
    assert fit == Timing("fit", "t1", "m", 5.0, 440.0, 3.25, 446.4, (files[1], files[2]))
    assert simulate == Timing("simulate", "t1", "", None, None, 1.5, 300.0, (files[3],))
    assert (select.seconds, fit.seconds) == (2.5, 3.25)


def test_a_short_job_has_no_memory(tmp_path):
    path = written(tmp_path / "benchmarks/select.tsv", HEAD + ROW.format(0.1, "NA"))
    assert read_timings([path])[0].job_mib is None


def test_what_is_missing_or_foreign_is_left_out(tmp_path):
    broken = {"a.tsv": "", "b.tsv": HEAD, "c.tsv": "x\ty\n1\t2\n", "d.timing.json": "{", "e.timing.json": "[1]"}
    broken |= {"f.timing.json": '{"seconds": "fast", "peak_memory_mib": 1}', "g.tsv": HEAD + ROW.format("-", "-")}
    files = [written(tmp_path / name, text) for name, text in broken.items()]
    (tmp_path / "h.tsv").write_bytes(bytes(range(256)))
    found = read_timings([*files, tmp_path / "h.tsv", tmp_path / "nowhere.tsv", tmp_path])
    assert all(t.seconds is None for t in found)
