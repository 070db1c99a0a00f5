# The figures and tables of arXiv:2309.04639, from studies and fits.


rule paper:
    input:
        studies=STUDY_FILES,
        fits=expand(rules.fit.output.fit, scenario=settings.scenario, sample=SAMPLES, target=TARGETS, method=METHODS),
        published=settings.paper.published or [],
    output:
        page=of_scenario("paper", "paper.html"),
    log:
        of_scenario("logs", "paper.log"),
    benchmark:
        of_scenario("benchmarks", "paper.tsv")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=BASE_MB,
        runtime=15,
    params:
        config=stage_changes("paper", None),
        settings=stage_config("paper", None),
        code=code_of("paper"),
        folder=lambda wildcards, output: os.path.dirname(output.page),
        published=lambda wildcards, input: ["--published", input.published] if input.published else [],
    message:
        "Drawing the figures of the paper"
    shell:
        "python -m pipeline.cli paper --config-json {params.config:q} {params.folder:q} --studies {input.studies:q}"
        " --fits {input.fits:q} {params.published:q} > {log:q} 2>&1"


rule paper_all:
    input:
        page=expand(rules.paper.output.page, scenario=settings.scenario),
        pages=expand(rules.report.output.page, scenario=settings.scenario, sample=SAMPLES),
        record=rules.record.output.record,
    localrule: True
