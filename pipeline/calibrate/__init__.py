"""Fits: residuals, objective and optimiser are separate things, listed in the registries of `methods`."""
