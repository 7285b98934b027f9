"""What watches an arm while its load runs: a module for each instrument, with its measures."""
