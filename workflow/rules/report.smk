# The page, and the record of what made it.

# Times of all jobs of a sample. Not inputs: a lost benchmark is no reason to fit again, and the page does without.
BEFORE_FITS = ["produce", "convert", "select"]
BEFORE_FITS += ["contaminate"] if SCENARIO.contaminate is not None else []
BEFORE_FITS += ["perturb"] if SCENARIO.perturb and not BRANCH else []
OF_TARGETS = ["reconstruct"] if BRANCH else []
OF_TARGETS += ["perturb"] if SCENARIO.perturb and BRANCH else []
TIMINGS = [
    *(of_sample("benchmarks", f"{stage}.tsv") for stage in BEFORE_FITS),
    *expand(of_sample("benchmarks", "{target}", "simulate.tsv"), target=SIMULATED, allow_missing=True),
    *expand(of_sample("benchmarks", "{target}", "{stage}.tsv"), target=TARGETS, stage=OF_TARGETS, allow_missing=True),
    *expand(of_sample("{target}", "hits.timing.json"), target=SIMULATED, allow_missing=True),
    *expand(of_sample("benchmarks", "{target}", "hits.tsv"), target=RECORDED, allow_missing=True),
    *expand(
        of_sample("benchmarks", "{target}", "{method}", "fit.tsv"), target=TARGETS, method=METHODS, allow_missing=True
    ),
    *expand(of_sample("{target}", "{method}", "fit.timing.json"), target=TARGETS, method=METHODS, allow_missing=True),
]


rule report:
    input:
        segments=of_sample(PAGE_FILE),
        # Before the cuts, which tear tracks.
        sample=of_sample(DATA_FILE) if HAS_TRUTH else [],
        fits=expand(rules.fit.output.fit, target=TARGETS, method=METHODS, allow_missing=True),
        studies=figures_on_page,
        detector=DETECTOR_FILE,
    output:
        page=report(
            of_sample("report.html"),
            caption="../report/page.rst",
            category="Calibration",
            labels={"scenario": "{scenario}", "sample": "{sample}"},
        ),
    log:
        of_sample("logs", "report.log"),
    benchmark:
        of_sample("benchmarks", "report.tsv")
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2 * BASE_MB,
        runtime=15,
    params:
        config=told_to("report"),
        settings=used_by("report"),
        code=code_of("report"),
        timings=TIMINGS,
        sample=lambda wildcards, input: ["--sample", input.sample] if input.sample else [],
        versions=json.dumps(versions(), sort_keys=True),
        # For a link only: that the record of the run is new is no reason to draw the page again.
        record=os.path.join(settings.results, "run.json"),
    message:
        "Drawing the page of {wildcards.sample}"
    shell:
        "python -m pipeline.cli report --config-json {params.config:q} --segments {input.segments:q}"
        " {params.sample:q} {output.page:q} --fits {input.fits:q} --studies {input.studies:q}"
        " --timings {params.timings:q}"
        " --versions {params.versions:q} --record {params.record:q} > {log:q} 2>&1"


rule record:
    output:
        record=os.path.join(settings.results, "run.json"),
    log:
        os.path.join(settings.results, "logs", "record.log"),
    benchmark:
        os.path.join(settings.results, "benchmarks", "record.tsv")
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=BASE_MB,
        runtime=5,
    params:
        config=json.dumps(settings.model_dump(mode="json"), sort_keys=True),
        code=[code_of(stage) for stage in (*STAGES, "record")],
        versions=versions(),
    message:
        "Recording the configuration"
    shell:
        "python -m pipeline.cli record --config-json {params.config:q} {output.record:q} > {log:q} 2>&1"
