# The hits that the detector would record at a target's parameter values.


rule simulate:
    input:
        segments=rules.select.output.segments,
        detector=DETECTOR_FILE,
        pixels=PIXELS_FILE,
    output:
        hits=of_sample("{target}", "hits.h5"),
    log:
        of_sample("logs", "{target}", "simulate.log"),
    benchmark:
        of_sample("benchmarks", "{target}", "simulate.tsv")
    wildcard_constraints:
        target=any_of(SIMULATED),
    conda:
        "../../envs/core.yaml"
    threads: settings.simulate.threads
    resources:
        mem_mb=MODEL_MB,
        runtime=60,
    params:
        config=told_to("simulate"),
        settings=used_by("simulate"),
        values=assignments,
        seed=lambda wildcards: target_seed(settings.seed, wildcards.target),
        code=code_of("simulate"),
    message:
        "Simulating the hits of {wildcards.target}"
    shell:
        "python -m pipeline.cli simulate --config-json {params.config:q} --threads {threads}"
        " {input.segments:q} {output.hits:q} --set {params.values:q} --seed {params.seed} > {log:q} 2>&1"
