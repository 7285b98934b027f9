"""The job tier: accepts jobs durably, and works on them in processes of their own.

The API imports `workers.store`; only a worker process imports `workers.fixed`, and with it all
that the work needs.
"""
