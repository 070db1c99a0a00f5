"""Fits of the detector's parameters together with the segments that nobody knows."""
