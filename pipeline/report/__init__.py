"""The page that a run ends with: figures, event display, tables."""
