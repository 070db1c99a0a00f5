# The page, and the record of what made it.


rule report:
    input:
        segments=rules.select.output.segments,
        fits=expand(rules.fit.output.fit, target=TARGETS, method=METHODS, allow_missing=True),
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
        mem_mb=BASE_MB,
        runtime=15,
    params:
        config=told_to("report"),
        settings=used_by("report"),
        code=code_of("report"),
    message:
        "Drawing the page of {wildcards.sample}"
    shell:
        "python -m pipeline.cli report --config-json {params.config:q} --segments {input.segments:q}"
        " {output.page:q} --fits {input.fits:q} > {log:q} 2>&1"


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
