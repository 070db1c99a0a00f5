"""`gradcal train` refuses what it cannot write before it begins."""

from pipeline.cli.main import run


def test_other_endings_are_refused_at_once(capsys, tmp_path):
    assert run(["train", "--config-json", "{}", str(tmp_path / "examples.pkl")]) == 2
    assert "must end in .h5 (examples) or .json (coefficients)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
