# What a scenario puts wrong: labels in the data, and deposits in what the fit gets. Without such entries neither runs.


rule contaminate:
    input:
        segments=of_sample("segments.h5"),
        other=lambda wildcards: of_sample("segments.h5").format(
            scenario=wildcards.scenario, sample=SCENARIO.contaminate.sample
        ),
    output:
        segments=of_sample("contaminated.h5"),
    log:
        of_sample("logs", "contaminate.log"),
    benchmark:
        of_sample("benchmarks", "contaminate.tsv")
    wildcard_constraints:
        sample=NONE if SCENARIO.contaminate is None else any_of(SAMPLES),
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2 * BASE_MB,
        runtime=15,
    params:
        config=scenario_changes("contaminate", "contaminate"),
        settings=scenario_config("contaminate", "contaminate"),
        code=code_of("contaminate"),
    message:
        "Putting other tracks into {wildcards.sample}"
    shell:
        "python -m pipeline.cli contaminate --config-json {params.config:q}"
        " {input.segments:q} {input.other:q} {output.segments:q} > {log:q} 2>&1"


rule perturb:
    input:
        segments=of_sample(*BRANCH, UNPERTURBED_FILE),
        detector=DETECTOR_FILE,
    output:
        segments=of_sample(*BRANCH, "input.h5"),
    log:
        of_sample("logs", *BRANCH, "perturb.log"),
    benchmark:
        of_sample("benchmarks", *BRANCH, "perturb.tsv")
    wildcard_constraints:
        sample=any_of(SAMPLES) if SCENARIO.perturb else NONE,
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2 * BASE_MB,
        runtime=15,
    params:
        config=scenario_changes("perturb", "perturb"),
        settings=scenario_config("perturb", "perturb"),
        code=code_of("perturb"),
    message:
        "Perturbing the segments of {wildcards.sample}"
    shell:
        "python -m pipeline.cli perturb --config-json {params.config:q}"
        " {input.segments:q} {output.segments:q} > {log:q} 2>&1"
