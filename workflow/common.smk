# What the rules share: the validated config, paths, and the params that decide when a rule runs again.

import json
import os
import re
import shutil
import sys
from pathlib import Path

from snakemake import exceptions

from pipeline.config.load import config_slice, load_config
from pipeline.config.models import MEASURED, Config
from pipeline.errors import ConfigError, GradcalError
from pipeline.layout import check_paths, hits_files, samples, sources
from pipeline.perturb.apply import check_perturbations
from pipeline.storage.detector import detector_path, load_geometry
from pipeline.storage.pixels import load_pixels
from pipeline.storage.provenance import code_hash
from pipeline.storage.record import STAGES, versions
from pipeline.storage.yaml_text import read_yaml
from pipeline.study.registry import STUDIES, study_names
from pipeline.targets import measured, target_seed, target_values


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
    found = {}
    for key, value in changed.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            value = beyond(value, content[key])
            if value:
                found[key] = value
        elif key not in content or content[key] != value:
            found[key] = value
    return found


def validated(config):
    """The configuration as Snakemake merged it, checked; errors name the line of the file, or the command line."""
    complaint = None
    # The last file that was given counts most, the workflow's own least: the first to hold what is wrong is its place.
    given = list(workflow.overwrite_configfiles or [])
    own = [file for file in workflow.configfiles if file not in given]
    for file in [*reversed(given), *own] or [None]:
        try:
            return load_config(file, beyond(config, read_yaml(file).content if file else {}))
        except ConfigError as error:
            complaint = error
            if not str(error).startswith("command line"):
                break
    raise complaint


def stage_config(stage, sample, *methods):
    """The settings that a stage uses for a sample: it runs again when one of these changes, and only then."""
    its_own = settings.model_copy(update={"sample": SOURCES[sample]}) if sample in SOURCES else settings
    used = config_slice(its_own, *(its_own.sample.producing if stage == "produce" else SECTIONS[stage]))
    if methods:
        used["methods"] = {method: settings.known_methods[method].model_dump(mode="json") for method in methods}
    # Results do not depend on the number of threads, so it is passed apart.
    used.get("simulate", {}).pop("threads", None)
    return used


def stage_changes(stage, sample, *methods):
    """JSON text of those of a stage's settings that are not the default: all that its command need be told."""
    changes = beyond(stage_config(stage, sample, *methods), DEFAULTS)
    return json.dumps(changes, sort_keys=True)


def scenario_config(stage, entry):
    """The settings that a stage uses, with one entry of the scenario."""
    used = {**stage_config(stage, None), "scenario": settings.scenario}
    used["scenarios"] = {settings.scenario: SCENARIO.model_dump(mode="json", include={entry})}
    if entry == "contaminate" and SCENARIO.contaminate is not None:
        # Where the other tracks come from is no matter of this stage; that their sample has a name is.
        used["samples"] = {SCENARIO.contaminate.sample: {}}
    return used


def scenario_changes(stage, entry):
    """As `scenario_config`, those that are not the default, as JSON text."""
    return json.dumps(beyond(scenario_config(stage, entry), DEFAULTS), sort_keys=True)


def method_in(wildcards):
    """The method among the wildcards, if there is one."""
    method = wildcards.get("method")
    return [] if method is None else [method]


def used_by(stage):
    """Function of the wildcards: `stage_config` of their sample, and of their method where there is one."""
    return lambda wildcards: stage_config(stage, wildcards.sample, *method_in(wildcards))


def told_to(stage):
    """Function of the wildcards: `stage_changes` of their sample, and of their method where there is one."""
    return lambda wildcards: stage_changes(stage, wildcards.sample, *method_in(wildcards))


def code_of(command):
    """Hash of everything that a command imports: its rule runs again after an edit to any of it."""
    return in_words(code_hash, f"pipeline.cli.{command}")


def code_of_study(name):
    """Hashes of the command `study` and of the study itself."""
    return [code_of("study"), in_words(code_hash, STUDIES[name].module)]


def code_of_figure(name):
    """Hashes of the command `draw` and of what draws this study."""
    return [code_of("draw"), in_words(code_hash, STUDIES[name].figure)]


def study_config(name, sample=None):
    """The settings that a study uses for a sample, or for none: its own, those of its methods, and those it shares."""
    own = (f"study.{name}",) if hasattr(settings.study, name) else ()
    SECTIONS[f"study {name}"] = (*STUDIES[name].sections, *own)
    return stage_config(f"study {name}", sample, *settings.study.methods_of(name))


def study_changes(name, sample=None):
    """As `study_config`, those that are not the default, as JSON text."""
    return json.dumps(beyond(study_config(name, sample), DEFAULTS), sort_keys=True)


def segments_of_study(wildcards):
    """The segments that a study takes: the selected ones, or all."""
    return of_sample({"selected": "selected.h5", "segments": DATA_FILE}[STUDIES[wildcards.study].input])


def truth_of_fit(wildcards):
    """What the hits of a target were simulated from, where the fit does not take its segments for that."""
    unknown = settings.known_methods[wildcards.method].objective == "marginal_likelihood"
    return of_sample("selected.h5") if unknown and wildcards.target in SIMULATED else []


def samples_of_study(name):
    """The samples that a study runs on."""
    return list(SAMPLES) if STUDIES[name].every_sample else list(SAMPLES)[:1]


def figures_on_page(wildcards):
    """Figures of the scenario's studies that the page of a sample shows, those of the detector alone too."""
    return [
        of_scenario("studies", f"{name}.svg") if STUDIES[name].input is None else of_sample("studies", f"{name}.svg")
        for name in STUDY_NAMES
        if STUDIES[name].figure and (STUDIES[name].input is None or wildcards.sample in samples_of_study(name))
    ]


def of_sample(*parts):
    """Path below the folder of one scenario and sample."""
    return os.path.join(settings.results, "{scenario}", "{sample}", *parts)


def of_scenario(*parts):
    """Path below the folder of one scenario, for what belongs to no sample."""
    return os.path.join(settings.results, "{scenario}", *parts)


def any_of(names):
    """Regular expression of one of these names."""
    return "|".join(re.escape(name) for name in names) or NONE


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

# Commands run in the Python that runs Snakemake even if its environment is not activated (a conda environment comes
# before it on PATH once Snakemake has activated that), and from this checkout whatever the working directory.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    GRADCAL_CHECKOUT=str(workflow.basedir),
)
# Set by the shell, because Snakemake takes PYTHONPATH out of the environment when it activates conda, and sets all
# numbers of threads to those of the rule: linear algebra on one, as its sums would depend on the number in the last bit.
shell.prefix(
    "set -euo pipefail; export OPENBLAS_NUM_THREADS=1" ' PYTHONPATH="$GRADCAL_CHECKOUT${{PYTHONPATH:+:$PYTHONPATH}}"; '
)

# A regular expression that nothing matches.
NONE = "(?!)"

# The parts of the configuration that each stage uses; `fit` uses its method besides, `produce` those of its engine.
SECTIONS = {
    "convert": ("sample.sensitive_detectors", "sample.event_number", "checks"),
    "contaminate": ("checks",),
    "select": ("seed", "checks", "select", "detector.file"),
    "simulate": ("checks", "detector", "readout", "simulate"),
    "hits": ("data", "detector.file", "readout.pixels"),
    "perturb": ("checks", "detector.file"),
    "reconstruct": ("seed", "detector", "readout", "simulate", "reconstruct"),
    "fit": ("seed", "checks", "detector", "readout", "simulate"),
    "report": ("checks", "detector.file", "report"),
    "paper": ("paper",),
}
# What a command takes for settings that it is not told. A method that it is told is read by itself, so that it has to be
# told whole: nothing of one is left out.
DEFAULTS = Config().model_dump(mode="json", exclude={"methods"})

settings = in_words(validated, config)
in_words(check_paths, settings)
SCENARIO = settings.scenarios[settings.scenario]
SAMPLES = samples(settings)
# With the one that the contamination of the others is taken from.
SOURCES = sources(settings)
SAMPLE_FILES = {name: sample.file for name, sample in SOURCES.items() if sample.file is not None}
# A generator that is described in a file of its own depends on that, too.
GENERATOR_FILES = {name: sample.generator.dlp_file or [] for name, sample in SOURCES.items()}
# What the data are made from, and what a fit gets: the same deposits where the scenario puts nothing wrong.
DATA_FILE = "segments.h5" if SCENARIO.contaminate is None else "contaminated.h5"
# What is reconstructed is so from the hits of each target.
BRANCH = ("{target}",) if SCENARIO.input == "reconstructed" else ()
UNPERTURBED_FILE = "reconstructed.h5" if BRANCH else "selected.h5"
INPUT_FILE = "input.h5" if SCENARIO.perturb else UNPERTURBED_FILE
TARGETS = in_words(target_values, settings)
# Hits of these were recorded elsewhere, those of the others are simulated.
RECORDED = [MEASURED] if measured(settings) else []
SIMULATED = [target for target in TARGETS if target not in RECORDED]
HITS_FILES = hits_files(settings)
# Whether anything but hits tells where particles went.
HAS_TRUTH = bool(SIMULATED) or any(sample.file is not None for sample in SAMPLES.values())
# What is reconstructed differs by target: the page shows what the hits were simulated from, or else the first of it.
PAGE_FILE = ("selected.h5" if HAS_TRUTH else os.path.join(next(iter(TARGETS)), INPUT_FILE)) if BRANCH else INPUT_FILE
STUDY_NAMES = in_words(study_names, settings)
METHODS = SCENARIO.methods or tuple(settings.methods)

# A detector given as a file is an input; those that come with the package are part of its code.
GEOMETRY = in_words(load_geometry, settings.detector.file)
in_words(check_perturbations, SCENARIO.perturb, GEOMETRY, f"scenarios.{settings.scenario}.perturb")
DETECTOR_FILE = (
    [settings.detector.file] if detector_path(settings.detector.file) == Path(settings.detector.file) else []
)

# So is a table of the constants of pixels.
in_words(load_pixels, settings.readout.pixels, GEOMETRY)
PIXELS_FILE = settings.readout.pixels.file or []

# Studies that measure time share no core with other jobs on a small machine.
STUDY_THREADS = max(2, settings.simulate.threads)

# Python with its libraries, and the working memory that the forward model is allowed.
BASE_MB = 1000
MODEL_MB = BASE_MB + int(1.05 * settings.simulate.memory_limit_mib)
