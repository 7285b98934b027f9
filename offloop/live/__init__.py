"""`offloop live`: the page on which one watches a service stall."""
