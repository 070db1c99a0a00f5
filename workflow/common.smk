# What the rules share: the validated config, paths, and the params that decide when a rule runs again.

import json
import os
import re
import shutil
import sys
from pathlib import Path

from snakemake import exceptions

from pipeline.config.load import config_slice, load_config
from pipeline.errors import GradcalError
from pipeline.layout import check_paths, sample_name
from pipeline.storage.provenance import code_hash
from pipeline.storage.record import STAGES, versions
from pipeline.storage.yaml_text import read_yaml
from pipeline.targets import target_seed, target_values


class WorkflowError(exceptions.WorkflowError):
    """A mistake that is the user's to mend: Snakemake shows its sentence, without lines of this file."""

    __traceback__ = None


def in_words(function, *arguments):
    """What the function returns; its complaint, if any, as one sentence on the screen."""
    try:
        return function(*arguments)
    except GradcalError as error:
        raise WorkflowError(str(error)) from None


def beyond(changed, content):
    """The settings of `changed` that `content` does not have with the same value."""
    return {
        key: beyond(value, content[key]) if isinstance(value, dict) and isinstance(content.get(key), dict) else value
        for key, value in changed.items()
        if key not in content or content[key] != value
    }


def validated(config):
    """The configuration as Snakemake merged it, checked; errors name the line of the file, or the command line."""
    file = next(reversed(workflow.overwrite_configfiles or workflow.configfiles), None)
    return load_config(file, beyond(config, read_yaml(file).content if file else {}))


def stage_config(*sections, method=None):
    """JSON text of the sections that a stage uses: it runs again when one of these changes, and only then."""
    used = config_slice(settings, *sections)
    if method is not None:
        used["methods"] = {method: config_slice(settings, "methods")["methods"][method]}
    # Results do not depend on the number of threads, so it is passed apart.
    used.get("simulate", {}).pop("threads", None)
    return json.dumps(used, sort_keys=True)


def code_of(command):
    """Hash of everything that a command imports: its rule runs again after an edit to any of it."""
    return in_words(code_hash, f"pipeline.cli.{command}")


def of_sample(*parts):
    """Path below the folder of one scenario and sample."""
    return os.path.join(settings.results, "{scenario}", "{sample}", *parts)


def any_of(names):
    """Regular expression of one of these names."""
    return "|".join(re.escape(name) for name in names)


def assignments(wildcards):
    """True parameter values of a target as name=value, to the last bit."""
    return [f"{name}={value!r}" for name, value in TARGETS[wildcards.target].items()]


def discard_conda_if_missing():
    """Go on without conda environments where --use-conda is given and conda is not installed."""
    try:
        from snakemake.settings.types import DeploymentMethod

        methods = workflow.deployment_settings.deployment_method
        if DeploymentMethod.CONDA in methods and shutil.which("conda") is None:
            methods.discard(DeploymentMethod.CONDA)
            print("--use-conda: there is no conda on PATH; using the running Python instead.", file=sys.stderr)
    except (ImportError, AttributeError):
        # Not a documented interface: another release of Snakemake will say itself that conda is missing.
        pass


discard_conda_if_missing()

# Commands run from this checkout whatever the working directory, in the Python that runs Snakemake even if its
# environment is not activated; a conda environment comes before it on PATH once Snakemake has activated that.
os.environ.update(
    PYTHONPATH=os.pathsep.join(filter(None, [str(workflow.basedir), os.environ.get("PYTHONPATH")])),
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
)

settings = in_words(validated, config)
in_words(check_paths, settings)
SAMPLE = sample_name(settings)
SAMPLE_FILE = settings.sample.file
TARGETS = in_words(target_values, settings)
METHODS = settings.scenarios[settings.scenario].methods or tuple(settings.methods)

# A detector given as a file is an input; those that come with the package are part of its code.
DETECTOR_FILE = [settings.detector.file] if Path(settings.detector.file).is_file() else []

# Python with its libraries, and the working memory that the forward model is allowed.
BASE_MB = 1000
MODEL_MB = BASE_MB + int(1.05 * settings.simulate.memory_limit_mib)
