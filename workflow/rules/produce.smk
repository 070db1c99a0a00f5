# Energy deposits: of generated particles, or converted from a file.


rule produce:
    input:
        detector=DETECTOR_FILE,
        generator=lambda wildcards: GENERATOR_FILES[wildcards.sample],
    output:
        segments=of_sample("segments.h5"),
    log:
        of_sample("logs", "produce.log"),
    benchmark:
        of_sample("benchmarks", "produce.tsv")
    wildcard_constraints:
        sample=any_of([name for name in SOURCES if name not in SAMPLE_FILES]),
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=2 * BASE_MB,
        runtime=240,
    params:
        config=told_to("produce"),
        settings=used_by("produce"),
        code=code_of("produce"),
    message:
        "Producing {wildcards.sample}"
    shell:
        "python -m pipeline.cli produce --config-json {params.config:q} --processes {threads}"
        " {output.segments:q} > {log:q} 2>&1"


rule convert:
    input:
        file=lambda wildcards: SAMPLE_FILES[wildcards.sample],
    output:
        segments=of_sample("segments.h5"),
    log:
        of_sample("logs", "convert.log"),
    benchmark:
        of_sample("benchmarks", "convert.tsv")
    wildcard_constraints:
        sample=any_of(SAMPLE_FILES),
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2 * BASE_MB,
        runtime=30,
    params:
        config=told_to("convert"),
        settings=used_by("convert"),
        code=code_of("convert"),
    message:
        "Reading {input.file}"
    shell:
        "python -m pipeline.cli convert --config-json {params.config:q}"
        " {input.file:q} {output.segments:q} > {log:q} 2>&1"
