"""Charts: one function a chart, from a run's data to an SVG that fits light and dark pages."""
