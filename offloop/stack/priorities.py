"""Niceness: one machine plays three tiers, and priorities keep them from starving each other."""

#: The generator must keep its schedule,
NICE_GENERATOR = 0

#: the APIs come next,
NICE_API = 5

#: and workers run on what the APIs leave.
NICE_WORKER = 19
