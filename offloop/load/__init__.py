"""Open-model load: requests are sent when they are due, whatever the server does.

The lab's own process imports `arrivals`, `plan`, `generator`, `log`, `percentiles`, `protocol` and
`cli`. The modules `dispatcher`, `user` and `piped` live in the generator's process only: importing
Locust patches the standard library for gevent, which must not happen beside asyncio or in a
notebook.
"""
