"""Files of examples and coefficients: what is read is what was written, and all else is refused in a sentence."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from pipeline.config.particles import Particles
from pipeline.errors import ConfigError, FileFormatError
from pipeline.reconstruct.classifier import Examples, Logistic, learn_logistic
from pipeline.reconstruct.features import FEATURES
from pipeline.storage.identity import load_classifier, read_coefficients, read_examples, write_training
from pipeline.storage.provenance import Provenance
from tests.reconstruct.lines import examples_of

PROVENANCE = Provenance("train", {}, {}, "code")


@pytest.fixture(scope="module")
def examples() -> Examples:
    rng = np.random.default_rng(1)
    species = np.arange(200) % 5
    features = (rng.normal(size=(200, len(FEATURES))) + species[:, None]).astype(np.float32).astype(np.float64)
    return examples_of(features, species, np.arange(200) // 4, FEATURES)


def test_examples_come_back_and_both_methods_learn_from_them(tmp_path, examples) -> None:
    path = tmp_path / "examples.h5"
    write_training(path, examples, PROVENANCE)
    found = read_examples(path)
    for name in ("features", "species", "event", "log_likelihood", "length", "contained"):
        np.testing.assert_array_equal(getattr(found, name), getattr(examples, name))
    for method in ("logistic", "boosting"):
        settings = Particles.model_validate({"method": method, "training": str(path)})
        model = load_classifier(settings)
        assert model is not None and model.log_likelihood(examples.features).shape == (200, 5)


def test_coefficients_say_what_the_examples_taught(tmp_path, examples) -> None:
    path = tmp_path / "coefficients.json"
    write_training(path, examples, PROVENANCE)
    found, wanted = (m.log_likelihood(examples.features) for m in (read_coefficients(path), learn_logistic(examples)))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_same_examples_make_the_same_bytes(tmp_path, examples) -> None:
    for end in (".json", ".h5"):
        paths = [tmp_path / f"{name}{end}" for name in "ab"]
        for path in paths:
            write_training(path, examples, PROVENANCE)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_standard_coefficients_are_of_the_present_features() -> None:
    assert isinstance(load_classifier(Particles()), Logistic)
    assert load_classifier(Particles(method="likelihood")) is None


def test_other_endings_are_refused(tmp_path, examples) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.h5"):
        write_training(tmp_path / "x.pkl", examples, PROVENANCE)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"names": ["a"]}, "made of other features"),
        ({"weight": [[1.0]]}, "do not fit"),
        ({"width": [0.0] * len(FEATURES)}, "do not fit"),
        ({"intercept": ["x"] * 5}, "other things than numbers"),
        ({"kind": "fit"}, "no coefficients of this version"),
    ],
)
def test_damaged_coefficients_are_refused(tmp_path, examples, change, why) -> None:
    path = tmp_path / "coefficients.json"
    write_training(path, examples, PROVENANCE)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FileFormatError, match=why):
        read_coefficients(path)


def test_missing_and_foreign_files_are_refused(tmp_path, examples) -> None:
    (tmp_path / "text.json").write_text("not JSON")
    for name in ("nowhere.json", "text.json", "nowhere.h5"):
        with pytest.raises(FileFormatError, match=name):
            load_classifier(Particles(training=str(tmp_path / name)))
    path = tmp_path / "examples.h5"
    write_training(path, examples, PROVENANCE)
    with h5py.File(path, "r+") as file:
        file["features"][0, 0] = np.nan
    with pytest.raises(FileFormatError, match="not a finite number"):
        read_examples(path)
