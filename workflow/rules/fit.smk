# The parameters that make the simulated hits agree with a target's.


rule fit:
    input:
        segments=of_sample(*BRANCH, INPUT_FILE),
        hits=of_sample("{target}", "hits.h5"),
        truth=truth_of_fit,
        detector=DETECTOR_FILE,
        pixels=PIXELS_FILE,
    output:
        fit=of_sample("{target}", "{method}", "fit.h5"),
        summary=of_sample("{target}", "{method}", "fit.json"),
    log:
        of_sample("logs", "{target}", "{method}", "fit.log"),
    benchmark:
        of_sample("benchmarks", "{target}", "{method}", "fit.tsv")
    conda:
        "../../envs/core.yaml"
    threads: settings.simulate.threads
    resources:
        mem_mb=MODEL_MB,
        runtime=240,
    params:
        config=told_to("fit"),
        settings=used_by("fit"),
        code=code_of("fit"),
        truth=lambda wildcards, input: ["--truth", input.truth] if input.truth else [],
    message:
        "Fitting {wildcards.target} by {wildcards.method}"
    shell:
        "python -m pipeline.cli fit --config-json {params.config:q} --threads {threads}"
        " --method {wildcards.method} --segments {input.segments:q} --hits {input.hits:q}"
        " {output.fit:q} {params.truth:q} > {log:q} 2>&1"
