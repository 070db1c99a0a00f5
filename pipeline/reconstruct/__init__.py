"""From hits to tracks, their segments, and which particles they are."""
