"""Physics of the detector as small pure functions: argon, geometry, response, readout."""
