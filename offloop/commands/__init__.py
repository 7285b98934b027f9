"""The commands of `offloop`, a module each."""
