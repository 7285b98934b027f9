"""The same app as an orchestrator: it accepts, validates, schedules and exposes the result."""
