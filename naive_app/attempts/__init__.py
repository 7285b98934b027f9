"""The fixes that people try first, one file each: another `POST /reports`, the rest as it was.

`uvicorn naive_app.attempts.NAME:app` serves one, and `diff naive_app/reports.py` on its file shows
what was tried. None is a straw man: each is good at something, and says what. One,
`metrics_on_loop`, mends nothing: it is how people look at it.
"""
