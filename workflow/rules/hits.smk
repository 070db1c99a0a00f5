# Hits that were recorded elsewhere, in the place of those of a target. Without the section `data` it does not run.


rule hits:
    input:
        **HITS_FILES,
        detector=DETECTOR_FILE,
        pixels=PIXELS_FILE,
    output:
        hits=of_sample("{target}", "hits.h5"),
    log:
        of_sample("logs", "{target}", "hits.log"),
    benchmark:
        of_sample("benchmarks", "{target}", "hits.tsv")
    wildcard_constraints:
        target=any_of(RECORDED),
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2 * BASE_MB,
        runtime=30,
    params:
        config=told_to("hits"),
        settings=used_by("hits"),
        code=code_of("hits"),
    message:
        "Reading the hits of {input.hits}"
    shell:
        "python -m pipeline.cli hits --config-json {params.config:q} {input.hits:q} {output.hits:q} > {log:q} 2>&1"
