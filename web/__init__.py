"""What both apps have in common: everything about HTTP that is not the lesson."""
