"""The differentiable forward model: from energy deposits to pixel hits, with their exact derivatives."""
