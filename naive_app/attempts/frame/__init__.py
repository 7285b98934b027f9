"""What the attempts share: everything but their `POST /reports`."""
