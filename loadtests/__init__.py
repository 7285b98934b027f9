"""Load for the lab: experiment files, and a locustfile for a person with a web UI."""
