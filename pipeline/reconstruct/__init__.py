"""From hits to what left them: tracks, their curves, segments with charge and dE/dx, and particles."""
