"""Experiments without HTTP: a few pieces of work at once, and how long until all are done."""
