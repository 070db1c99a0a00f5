# Energy deposits: from the particle gun, or converted from a file.

if SAMPLE_FILE is None:

    rule produce:
        input:
            detector=DETECTOR_FILE,
        output:
            segments=of_sample("segments.h5"),
        log:
            of_sample("logs", "produce.log"),
        benchmark:
            of_sample("benchmarks", "produce.tsv")
        conda:
            "../../envs/core.yaml"
        threads: 1
        resources:
            mem_mb=BASE_MB,
            runtime=10,
        params:
            config=stage_changes("produce"),
            settings=stage_config("produce"),
            code=code_of("produce"),
        message:
            "Shooting muons through the detector"
        shell:
            "python -m pipeline.cli produce --config-json {params.config:q} {output.segments:q} > {log:q} 2>&1"

else:

    rule convert:
        input:
            file=SAMPLE_FILE,
        output:
            segments=of_sample("segments.h5"),
        log:
            of_sample("logs", "convert.log"),
        benchmark:
            of_sample("benchmarks", "convert.tsv")
        conda:
            "../../envs/core.yaml"
        threads: 1
        resources:
            mem_mb=2 * BASE_MB,
            runtime=30,
        params:
            config=stage_changes("convert"),
            settings=stage_config("convert"),
            code=code_of("convert"),
        message:
            "Reading {input.file}"
        shell:
            "python -m pipeline.cli convert --config-json {params.config:q}"
            " {input.file:q} {output.segments:q} > {log:q} 2>&1"
