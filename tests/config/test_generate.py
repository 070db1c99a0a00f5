"""config.yaml and the schema are what the models say."""

import json

import jsonschema
import pytest
import yaml

from pipeline.config.generate import config_schema, config_yaml
from pipeline.config.load import load_config
from pipeline.config.models import Config

from ..conftest import ROOT

CONFIG = ROOT / "config.yaml"
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"


def test_committed_files_are_the_generated_ones():
    assert CONFIG.read_text() == config_yaml(), "run: gradcal config > config.yaml"
    assert SCHEMA.read_text() == config_schema(), "run: gradcal config --schema > workflow/schemas/config.schema.json"


def test_config_yaml_holds_the_defaults():
    assert load_config(CONFIG) == Config()


def test_schema_accepts_config_yaml():
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(CONFIG.read_text()), schema)


@pytest.mark.parametrize(
    "wrong", [{"select": {"min_track_lenght_cm": 3}}, {"seed": -1}, {"simulate": {"accuracy": "best"}}]
)
def test_schema_refuses_what_the_models_refuse(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json.loads(SCHEMA.read_text()))


def settings(section: dict) -> int:
    return sum(settings(value) if isinstance(value, dict) and value else 1 for value in section.values())


def test_every_setting_is_explained():
    content = yaml.safe_load(config_yaml())
    text = config_yaml()
    unexplained = [
        line
        for above, line in zip(text.splitlines(), text.splitlines()[1:])
        if line and not line.lstrip().startswith("#") and "  # " not in line and not above.lstrip().startswith("#")
    ]
    assert settings(content) > 40
    assert not unexplained
