# The services of the lab, and the workshop on top of them.
#
#   docker compose build                       what docker-compose.yml names: the target `service`
#   docker build --target workshop .           the same with JupyterLab
#   docker build --target devcontainer .       tools only: the checkout is mounted
#
# What changes rarely comes first: after a change to the code only the last layers are made again.

# The only place that names the base image. The packages are locked for this Python and later ones.
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

# --- packages: made again when a lock changes ---

FROM ${PYTHON_IMAGE} AS packages
WORKDIR /srv
RUN python -m venv --without-pip /opt/venv
COPY requirements/lab.lock requirements/
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes \
      --disable-pip-version-check -r requirements/lab.lock
# What nothing of ours loads: Arrow's clients for Flight and S3, headers, and the packages' own tests.
RUN cd /opt/venv/lib/python3*/site-packages && rm -rf gevent/tests pyarrow/include pyarrow/tests \
      pyarrow/_flight* pyarrow/libarrow_flight* pyarrow/_s3fs* pyarrow/libarrow_s3*
# The command `offloop`, which finds its code in /srv: what it is called and its version. The README
# is for package indexes, and an empty one does not change this layer.
COPY pyproject.toml LICENSE ./
RUN touch README.md && python -m pip --python /opt/venv/bin/python install --no-cache-dir \
      --disable-pip-version-check --no-deps --editable .

# --- data: made again when what makes it changes ---
#
# In the image, not in a volume at the first start: 26 MB more, and 8 s once while building, for
# containers that are ready as soon as they have started, and data that none of them can write to.

FROM packages AS data
ARG SCALE_FACTOR=0.1
# Exactly what `reports.dataset` loads, so that other changes to the reports leave the data alone.
COPY reports/__init__.py reports/cli.py reports/dataset.py reports/lines.py reports/publish.py \
     reports/rows.py reports/settings.py reports/spec.py reports/failpoints.py reports/
RUN OFFLOOP_DATA_DIR=/data /opt/venv/bin/python -m reports.dataset --scale-factor ${SCALE_FACTOR} \
      && rm -f /data/*.lock

# --- service: both apps, workers, housekeeping, and the load generator ---

FROM ${PYTHON_IMAGE} AS service
ARG SCALE_FACTOR=0.1
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/srv \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OFFLOOP_SCALE_FACTOR=${SCALE_FACTOR} \
    OFFLOOP_DATA_DIR=/usr/share/offloop \
    OFFLOOP_FILES_DIR=/var/lib/offloop/files \
    OFFLOOP_LEDGER_PATH=/var/lib/offloop/ledger.sqlite
# A new volume on /var/lib/offloop begins as this folder, and so belongs to the user.
RUN useradd --uid 10001 --create-home offloop \
    && mkdir -p /var/lib/offloop/files && chown -R offloop:offloop /var/lib/offloop
WORKDIR /srv
COPY --from=packages /opt/venv /opt/venv
COPY --from=data /data /usr/share/offloop
COPY . .
# The root file system is read-only, so that no process could keep what it has compiled.
RUN python -m compileall -q .
USER 10001:10001
EXPOSE 8000 9100

# --- workshop: the same with JupyterLab ---

FROM service AS workshop
USER root
COPY requirements/workshop.lock requirements/
# By the base image's pip: the environment has none.
RUN /usr/local/bin/python -m pip --python /opt/venv/bin/python install --no-cache-dir \
      --require-hashes --disable-pip-version-check -r requirements/workshop.lock
# The lab keeps results, and the state of what it runs, in the checkout.
RUN mkdir -p /srv/runs /srv/.offloop /home/offloop/lab \
    && chown offloop:offloop /srv/runs /srv/.offloop /home/offloop/lab
WORKDIR /home/offloop/lab
USER 10001:10001
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]

# --- devcontainer: what `make setup` and the lab need; the checkout is mounted ---

FROM ${PYTHON_IMAGE} AS devcontainer
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends git make procps \
    && rm -rf /var/lib/apt/lists/*
# A new volume for the environment begins as this folder, and so belongs to the user.
RUN useradd --uid 1000 --create-home --shell /bin/bash developer \
    && mkdir -p /workspaces/offloop/.venv && chown -R developer:developer /workspaces
WORKDIR /workspaces/offloop
USER developer
