# Cuts on energy deposits and tracks, with the cut flow.


rule select:
    input:
        segments=of_sample(DATA_FILE),
        detector=DETECTOR_FILE,
    output:
        segments=of_sample("selected.h5"),
    log:
        of_sample("logs", "select.log"),
    benchmark:
        of_sample("benchmarks", "select.tsv")
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2 * BASE_MB,
        runtime=15,
    params:
        config=told_to("select"),
        settings=used_by("select"),
        code=code_of("select"),
    message:
        "Selecting tracks of {wildcards.sample}"
    shell:
        "python -m pipeline.cli select --config-json {params.config:q}"
        " {input.segments:q} {output.segments:q} > {log:q} 2>&1"
