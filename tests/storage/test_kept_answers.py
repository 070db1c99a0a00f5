"""Answers of an interrupted study are believed only where they are whole and of this very study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.storage.kept_answers import KeptAnswers
from pipeline.storage.provenance import Provenance

PROVENANCE = Provenance("study pulls", {"seed": 1}, {"segments": "a" * 64}, "1" * 64)
ANSWERS = {0: {"values": [1 / 3, 5e-324], "why": "µ"}, 7: {"values": [], "why": None}, 2: {"x": 1e300}}


def filled(folder: Path) -> KeptAnswers:
    kept = KeptAnswers(folder / "pulls.json", PROVENANCE)
    for number, answer in ANSWERS.items():
        kept.keep(number, answer)
    return kept


def test_answers_come_back_to_the_last_bit(tmp_path: Path) -> None:
    filled(tmp_path)
    kept = KeptAnswers(tmp_path / "pulls.json", PROVENANCE)
    assert kept.found() == ANSWERS
    assert list(tmp_path.iterdir()) == [kept.path]
    kept.remove()
    assert not list(tmp_path.iterdir()) and not kept.found()


def test_answers_of_other_settings_inputs_or_code_are_not_believed(tmp_path: Path) -> None:
    filled(tmp_path)
    for other in (
        replace(PROVENANCE, config={"seed": 2}),
        replace(PROVENANCE, inputs={"segments": "b" * 64}),
        replace(PROVENANCE, code="2" * 64),
    ):
        assert not KeptAnswers(tmp_path / "pulls.json", other).found()


def test_a_damaged_line_is_left_out_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    """A process that was killed while it wrote, or a disk that was full."""
    path = filled(tmp_path).path
    whole = path.read_bytes()
    for kept_bytes in (len(whole) - 1, len(whole) - 10, len(whole) - len(whole.splitlines()[-1])):
        path.write_bytes(whole[:kept_bytes])
        kept = KeptAnswers(tmp_path / "pulls.json", PROVENANCE)
        assert set(kept.found()) >= {0, 7}
        kept.keep(9, {"x": 1})
        assert set(KeptAnswers(tmp_path / "pulls.json", PROVENANCE).found()) >= {0, 7, 9}
    path.write_bytes(whole.replace(b"1e+300", b"2e+300"))
    assert set(kept.found()) == {0, 7}
    path.write_bytes(b"\xff\xfe nonsense")
    assert not kept.found()
