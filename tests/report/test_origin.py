from pipeline.report.origin import flat, origin, other_segments, packages
from pipeline.report.outcome import Fit

from .samples import fit_result

PROVENANCE = {
    "stage": "fit", "gradcal_version": "0.1",
    "config": {"seed": 3, "select": {"margin": None, "on": True, "list": [1, 2]}},
    "inputs": {"segments": "ab" * 32}, "config_hash": "c" * 64, "code_hash": "d" * 64,
}  # fmt: skip


def test_settings_read_like_those_of_the_configuration() -> None:
    assert list(flat(PROVENANCE["config"])) == [
        ("seed", "3"), ("select.list", "1, 2"), ("select.margin", "none"), ("select.on", "yes"),
    ]  # fmt: skip
    assert list(flat({"fixed": {}})) == [("fixed", "none")]


def test_hashes_are_short_with_the_whole_at_hand() -> None:
    found = origin("t", PROVENANCE, {"fit.h5": "t/fit.h5"})
    assert found["inputs"] == [{"name": "segments", "short": "ab" * 6, "whole": "ab" * 32}]
    assert [h["name"] for h in found["hashes"]] == ["settings", "code"]
    assert origin("x", {}, {})["settings"] == []


def test_a_fit_of_other_segments_is_found() -> None:
    fits = [Fit("a", "m", fit_result(), PROVENANCE, title="a"), Fit("b", "m", fit_result(), title="b")]
    assert other_segments(fits, "ab" * 32) == []
    assert other_segments(fits, "ee" * 32) == ["a"]
    assert other_segments(fits, None) == []


def test_packages_are_sorted() -> None:
    assert packages({"torch": "2.0", "awkward": None}) == [("awkward", "not installed"), ("torch", "2.0")]
    assert packages({}) == []
