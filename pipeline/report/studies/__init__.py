"""Figures and tables of studies: one module each, named by `pipeline.study.registry`, with

`draw(result) -> (figure, caption)` and `rows(result) -> (head, rows)` of texts, from what `gradcal study` wrote.
"""
