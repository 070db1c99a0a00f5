# The whole calibration: energy deposits in, fitted detector parameters and a page out.


configfile: "config.yaml"


include: "workflow/common.smk"
include: "workflow/rules/produce.smk"
include: "workflow/rules/perturb.smk"
include: "workflow/rules/select.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/hits.smk"
include: "workflow/rules/reconstruct.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/study.smk"
include: "workflow/rules/paper.smk"


wildcard_constraints:
    scenario=re.escape(settings.scenario),
    sample=any_of(SOURCES),
    target=any_of(TARGETS),
    method=any_of(METHODS),
    study=any_of(STUDIES),


rule all:
    default_target: True
    input:
        record=rules.record.output.record,
        pages=expand(rules.report.output.page, scenario=settings.scenario, sample=SAMPLES),
        studies=STUDY_FILES,
        figures=STUDY_FIGURES,
