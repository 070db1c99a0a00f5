# Studies: numbers, a figure and a table each, of a sample or of the detector alone.


rule study:
    input:
        segments=segments_of_study,
        others=lambda wildcards: settings.study.results_of(wildcards.study),
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


rule study_figure:
    input:
        result=os.path.join(settings.results, "{place}", "studies", "{study}.json"),
    output:
        figure=report(
            os.path.join(settings.results, "{place}", "studies", "{study}.svg"),
            caption="../report/study.rst",
            category="Studies",
            labels={"study": "{study}", "of": "{place}"},
        ),
        csv=os.path.join(settings.results, "{place}", "studies", "{study}.csv"),
        text=os.path.join(settings.results, "{place}", "studies", "{study}.md"),
    log:
        os.path.join(settings.results, "{place}", "logs", "studies", "{study}.figure.log"),
    benchmark:
        os.path.join(settings.results, "{place}", "benchmarks", "studies", "{study}.figure.tsv")
    wildcard_constraints:
        # A sample of the scenario, or the scenario itself.
        place=any_of([settings.scenario, *(os.path.join(settings.scenario, name) for name in SOURCES)]),
        study=any_of([name for name in STUDIES if STUDIES[name].figure]),
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=BASE_MB,
        runtime=15,
    params:
        code=lambda wildcards: code_of_figure(wildcards.study),
    message:
        "Drawing the study {wildcards.study} of {wildcards.place}"
    shell:
        "python -m pipeline.cli draw {input.result:q} {output.figure:q} > {log:q} 2>&1"


# The results of the scenario's studies, by their names.
STUDY_RESULTS = {
    name: (
        expand(rules.study_of_detector.output.result, scenario=settings.scenario, study=name)
        if STUDIES[name].input is None
        else expand(rules.study.output.result, scenario=settings.scenario, sample=samples_of_study(name), study=name)
    )
    for name in STUDY_NAMES
}
STUDY_FILES = [path for paths in STUDY_RESULTS.values() for path in paths]
STUDY_FIGURES = [
    os.path.splitext(path)[0] + ".svg"
    for name, paths in STUDY_RESULTS.items()
    if STUDIES[name].figure
    for path in paths
]
