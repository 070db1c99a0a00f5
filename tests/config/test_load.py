"""What a configuration means, and what is said of a wrong one."""

import json
import subprocess
import sys

import pytest

from pipeline.config.load import config_from_json, config_slice, load_config
from pipeline.config.models import Config
from pipeline.errors import ConfigError

from ..conftest import ROOT

WRONG = {
    # name: content, then what the sentence must say
    "unknown_key": (
        "seed: 2\nselect:\n  min_track_lenght_cm: 3\n",
        "line 3: select.min_track_lenght_cm is not a setting; did you mean select.min_track_length_cm?",
    ),
    "unknown_section": ("selekt: {}\n", "line 1: selekt is not a setting; did you mean select?"),
    "misplaced_key": ("max_total_length_cm: 3\n", "did you mean select.max_total_length_cm?"),
    "unknown_in_method": (
        "methods:\n  quick:\n    max_iteration: 3\n",
        "line 3: methods.quick.max_iteration is not a setting; did you mean methods.quick.max_iterations?",
    ),
    "text_for_number": (
        "select:\n  max_total_length_cm: long\n",
        "line 2: select.max_total_length_cm must be a number, not 'long'",
    ),
    "bool_for_number": ("seed: yes\n", "line 1: seed must be a whole number, not true"),
    "fraction_for_integer": ("seed: 1.5\n", "line 1: seed must be a whole number, not 1.5"),
    "number_for_bool": ("readout: {integer_adc: 1}\n", "readout.integer_adc must be true or false, not 1"),
    "number_for_section": ("sample: 3\n", "line 1: sample must be settings as `key: value`, not 3"),
    "null_section": ("select:\nseed: 1\n", "line 1: select must be settings as `key: value`, not null"),
    "text_for_list": ("select: {species: 13}\n", "select.species must be a list, not 13"),
    "wrong_entry": (
        "select:\n  species:\n  - 13\n  - mu\n",
        "line 4: select.species[1] must be a whole number, not 'mu'",
    ),
    "too_low": ("select:\n  max_total_length_cm: 0\n", "line 2: select.max_total_length_cm must be above 0, not 0"),
    "too_high": ("select: {max_abs_cos_drift: 1.5}\n", "select.max_abs_cos_drift must be at most 1, not 1.5"),
    "negative": ("seed: -3\n", "seed must be at least 0, not -3"),
    "not_finite": (
        "select: {min_track_length_cm: .nan}\n",
        "select.min_track_length_cm must be a finite number, not nan",
    ),
    "wrong_choice": (
        "simulate:\n  accuracy: best\n",
        "line 2: simulate.accuracy must be 'default' or 'precise', not 'best'",
    ),
    "pair": ("sample: {generator: {blocks: {a: {species: [], x_cm: [1, 2, 3]}}}}\n", "blocks.a.x_cm needs 2 entries"),
    "name_of_folder": ("sample: {name: ../up}\n", "sample.name must be a name of letters"),
    "name_as_key": ("methods: {a/b: {}}\n", "methods.a/b must be a name of letters"),
    "sample_as_logs": ("sample:\n  name: Logs\n", "line 2: sample.name: 'Logs' is a folder of the workflow's own"),
    "target_as_file": (
        "targets:\n  named:\n    run.json: {}\n",
        "line 3: targets.named.run.json: 'run.json' ends like",
    ),
    "method_as_benchmarks": ("methods: {benchmarks: {}}\n", "methods.benchmarks: 'benchmarks' is a folder"),
    "method_as_file": ("methods: {fit.h5: {}}\n", "methods.fit.h5: 'fit.h5' ends like a file"),
    "scenario_as_file": (
        "scenario: a.html\nscenarios: {a.html: {}}\n",
        "line 1: scenario: 'a.html' ends like a file of results; choose a name without this ending",
    ),
    "scenario_as_logs": ("scenarios: {closure: {}, logs: {}}\n", "scenarios.logs: 'logs' is a folder"),
    "unknown_parameter": (
        "methods:\n  quick:\n    free: [electric_feild]\n",
        "line 3: methods.quick.free: there is no parameter 'electric_feild'; did you mean 'electric_field'?",
    ),
    "unphysical_value": (
        "targets:\n  named:\n    t: {electric_field: -0.5}\n",
        "line 2: targets.named.t: electric_field = -0.5 kV/cm is not physical",
    ),
    "free_and_fixed": (
        "methods:\n  quick:\n    fixed: {birks_ab: 0.8}\n",
        "line 2: methods.quick: birks_ab is both free and fixed",
    ),
    "no_methods": ("seed: 1\nmethods: {}\n", "line 2: methods needs 1 or more entries, not an empty set"),
    "no_scenarios": ("scenarios: {}\n", "line 1: scenarios needs 1 or more entries, not an empty set"),
    "no_targets": ("targets: {drawn: 0}\n", "no target"),
    "unknown_scenario": ("scenario: clousure\n", "scenario 'clousure' is not one of scenarios"),
    "version": ("schema_version: 2\n", "schema_version must be 1, not 2"),
    "twice": ("seed: 1\nselect: {}\nseed: 2\n", "line 3: seed stands in line 1 already"),
    "twice_below": ("select:\n  species: []\n  species: [13]\n", "line 3: select.species stands in line 2 already"),
    "list": ("- seed\n", "must hold settings as `key: value`, not a list"),
    "word": ("seed\n", "must hold settings as `key: value`"),
    "not_yaml": ("select: {seed: 1\nresults: [\n", "is not valid YAML"),
    "tab": ("select:\n\tspecies: []\n", "line 2: this is not valid YAML"),
    "python_object": ("seed: !!python/object/apply:os.getcwd []\n", "this is not valid YAML"),
    "two_documents": ("seed: 1\n---\nseed: 2\n", "this is not valid YAML"),
    "date_as_key": ("2024-01-01: 1\n", "2024-01-01 is not a setting"),
    "refers_to_itself": ("select: &a\n  species: *a\n", "select.species"),
}


def refusal(path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_config_is_refused_with_place_and_meaning(name, tmp_path):
    content, expected = WRONG[name]
    path = tmp_path / "config.yaml"
    path.write_text(content)
    sentence = refusal(path)
    assert sentence.startswith(str(path))
    assert expected in sentence
    assert "\n" not in sentence and "pydantic" not in sentence


def test_first_problem_is_told_with_the_number_of_others(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("seed: -1\nselekt: {}\n")
    assert refusal(path).endswith("(1 more to mend after this one)")


@pytest.mark.parametrize("kind", ["missing", "folder", "binary", "utf16"])
def test_unreadable_config_is_refused(kind, tmp_path):
    path = tmp_path / "config.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"\x89HDF\r\n\x1a\n\x00\x00\xff\xfe")
    elif kind == "utf16":
        path.write_text("seed: 1\n", encoding="utf-16")
    expected = {"missing": "does not exist", "folder": "is a folder"}.get(kind, "is not a text file")
    assert expected in refusal(path)


@pytest.mark.parametrize("name", ["unknown_key", "bool_for_number", "too_low", "wrong_choice", "twice", "not_yaml",
                                  "list", "free_and_fixed", "unphysical_value", "no_targets"])  # fmt: skip
def test_command_says_one_line_and_exits_with_2(name, tmp_path, capsys, monkeypatch):
    from pipeline.cli import common, config, main

    # Any command that takes a configuration would do; this one needs no other input.
    monkeypatch.setattr(config, "add_arguments", common.add_config_arguments)
    monkeypatch.setattr(config, "main", lambda args: print(common.config_of(args)))
    path = tmp_path / "config.yaml"
    path.write_text(WRONG[name][0])
    assert main.run(["config", "--config", str(path)]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(f"gradcal config: {path}")
    assert written.err.count("\n") == 1 and "Traceback" not in written.err


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n", "---\n"])
def test_empty_file_means_the_defaults(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert load_config(path) == Config() == load_config(None)


def test_numbers_may_be_written_as_text(tmp_path):
    # YAML 1.1 reads 4e-9 as text, and `snakemake --config` hands everything over as text.
    path = tmp_path / "config.yaml"
    path.write_text("methods: {quick: {tolerance: 4e-9}}\n")
    given = {"seed": "5", "select": {"max_total_length_cm": "null"}, "readout": {"integer_adc": "true"}}
    config = load_config(path, given)
    assert config.methods["quick"].tolerance == 4e-9
    assert (config.seed, config.select.max_total_length_cm, config.readout.integer_adc) == (5, None, True)


def test_text_settings_keep_text_that_looks_like_a_number():
    assert load_config(None, {"sample": {"name": "2024"}}).sample.name == "2024"


def test_overrides_merge_into_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("select: {max_total_length_cm: 50, species: [13]}\nseed: 3\n")
    config = load_config(path, {"select": {"species": [2212]}})
    assert (config.select.max_total_length_cm, config.select.species, config.seed) == (50.0, (2212,), 3)


def test_wrong_override_is_placed_on_the_command_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("seed: 3\n")
    with pytest.raises(ConfigError, match=r"^command line: sample\.fil is not a setting; did you mean sample\.file\?"):
        load_config(path, {"sample": {"fil": "x.root"}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not valid JSON"),
        ("[1]", "must be a JSON object"),
        ('{"seed": 1, "seed": 2}', "key 'seed' is given twice"),
        ('{"seed": "x"}', "--config-json: seed must be a whole number, not 'x'"),
    ],
)
def test_wrong_json_is_refused(text, expected):
    with pytest.raises(ConfigError) as caught:
        config_from_json(text)
    assert expected in str(caught.value)


def test_slice_gives_the_same_settings_back():
    config = load_config(None, {"select": {"species": [13]}, "methods": {"a": {"starts": 3}, "b": {}}})
    part = json.loads(json.dumps(config_slice(config, "select", "methods.a", "seed")))
    assert set(part) == {"select", "methods", "seed"} and set(part["methods"]) == {"a"}
    again = config_from_json(json.dumps(part))
    assert again.select == config.select
    assert again.methods == {"a": config.methods["a"]}
    assert again.detector == Config().detector


def test_slice_of_an_unknown_section_is_an_error_of_the_program():
    with pytest.raises(KeyError):
        config_slice(Config(), "selekt")


def test_settings_parameters_and_provenance_load_without_torch():
    code = (
        "import sys, pipeline.parameters, pipeline.storage.provenance, pipeline.cli.main, pipeline.cli.common\n"
        "import pipeline.config.load, pipeline.storage.detector\n"
        "pipeline.parameters.table(); pipeline.config.load.load_config(None); pipeline.cli.main.commands()\n"
        "print(*sorted({'torch', 'uproot', 'awkward'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
