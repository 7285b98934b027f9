"""The app everybody writes first: the report is built inside the request."""
