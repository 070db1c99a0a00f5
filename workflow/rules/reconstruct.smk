# Tracks and their segments from hits alone, for a fit that knows no others.


rule reconstruct:
    input:
        hits=of_sample("{target}", "hits.h5"),
        detector=DETECTOR_FILE,
        pixels=PIXELS_FILE,
    output:
        segments=of_sample("{target}", "reconstructed.h5"),
    log:
        of_sample("logs", "{target}", "reconstruct.log"),
    benchmark:
        of_sample("benchmarks", "{target}", "reconstruct.tsv")
    wildcard_constraints:
        sample=any_of(SAMPLES) if SCENARIO.input == "reconstructed" else NONE,
    conda:
        "../../envs/core.yaml"
    threads: settings.simulate.threads
    resources:
        mem_mb=MODEL_MB,
        runtime=120,
    params:
        config=told_to("reconstruct"),
        settings=used_by("reconstruct"),
        code=code_of("reconstruct"),
    message:
        "Reconstructing tracks from the hits of {wildcards.target}"
    shell:
        "python -m pipeline.cli reconstruct --config-json {params.config:q} --threads {threads}"
        " {input.hits:q} {output.segments:q} > {log:q} 2>&1"
