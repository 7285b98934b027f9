"""Grafana's dashboards, written as a program: `python -m dashboards` writes `grafana/*.json`.

A panel is a question. Its description says what you should see, and what would prove it wrong. A
query can only be built from metrics and labels that are listed in `metrics`.
"""

import warnings

# The generator would rather write dashboards of version 2, which Grafana 13.0 does not read from
# files that are bare dashboards, as ours are.
warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
