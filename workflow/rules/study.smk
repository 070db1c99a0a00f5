# Studies: one table of numbers each, of a sample or of the detector alone.


rule study:
    input:
        segments=segments_of_study,
        detector=DETECTOR_FILE,
        pixels=PIXELS_FILE,
    output:
        result=of_sample("studies", "{study}.json"),
    log:
        of_sample("logs", "studies", "{study}.log"),
    benchmark:
        of_sample("benchmarks", "studies", "{study}.tsv")
    wildcard_constraints:
        study=any_of([name for name in STUDIES if STUDIES[name].input is not None]),
    conda:
        "../../envs/core.yaml"
    # A study that measures time needs the machine for itself.
    threads: STUDY_THREADS
    resources:
        mem_mb=MODEL_MB,
        runtime=240,
    params:
        config=lambda wildcards: study_changes(wildcards.study, wildcards.sample),
        settings=lambda wildcards: study_config(wildcards.study, wildcards.sample),
        code=lambda wildcards: code_of_study(wildcards.study),
    message:
        "Study {wildcards.study} of {wildcards.sample}"
    shell:
        "python -m pipeline.cli study {wildcards.study} --config-json {params.config:q} --threads {threads}"
        " --segments {input.segments:q} --output {output.result:q} > {log:q} 2>&1"


rule study_of_detector:
    input:
        detector=DETECTOR_FILE,
        pixels=PIXELS_FILE,
    output:
        result=of_scenario("studies", "{study}.json"),
    log:
        of_scenario("logs", "studies", "{study}.log"),
    benchmark:
        of_scenario("benchmarks", "studies", "{study}.tsv")
    conda:
        "../../envs/core.yaml"
    threads: STUDY_THREADS
    resources:
        mem_mb=MODEL_MB,
        runtime=60,
    params:
        config=lambda wildcards: study_changes(wildcards.study),
        settings=lambda wildcards: study_config(wildcards.study),
        code=lambda wildcards: code_of_study(wildcards.study),
    message:
        "Study {wildcards.study}"
    shell:
        "python -m pipeline.cli study {wildcards.study} --config-json {params.config:q} --threads {threads}"
        " --output {output.result:q} > {log:q} 2>&1"


# The studies of the scenario.
STUDY_FILES = [
    path
    for name in STUDY_NAMES
    for path in (
        expand(rules.study_of_detector.output.result, scenario=settings.scenario, study=name)
        if STUDIES[name].input is None
        else expand(rules.study.output.result, scenario=settings.scenario, sample=samples_of_study(name), study=name)
    )
]
