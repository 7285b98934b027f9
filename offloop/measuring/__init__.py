"""The measuring core: what was measured, what it is called, and what may be said about it."""
