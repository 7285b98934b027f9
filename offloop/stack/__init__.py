"""Start, watch, restart and stop processes, so that nothing outlives the lab.

    with Stack(log_dir) as stack:
        port = free_port()
        stack.start(embedded_redis(stack.folder / "redis", port))
        with ResourceSampler(stack.pids) as sampler:
            ...
            stack.check()

Import each from its own module (`supervisor`, `ports`, `redis`, `sampling`, `service`, `errors`).
Nothing is imported here: the guard process is a module of this package, and has to start fast.
"""
