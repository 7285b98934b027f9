"""The heavy work itself: priced reports over TPC-H line items.

Imports nothing, on purpose: a process that only accepts reports loads `reports.spec` and
`reports.settings`, and must not pay for the database driver or the file writers.
"""
