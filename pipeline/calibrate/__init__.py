"""Fits: residuals, objective and optimiser are separate things, each listed in a registry."""
