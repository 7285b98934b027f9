"""Experiment files become runs, runs become measures, measures become verdicts."""
