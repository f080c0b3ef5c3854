# syntax=docker/dockerfile:1
# One image for all of our processes (Airflow's components, the `costlake` command); the command decides which.
# A release pins the digest: docker build --build-arg PYTHON=python:3.11.14-slim-bookworm@sha256:<digest of that tag> .
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS packages
RUN python -m venv /opt/venv
COPY requirements.lock deploy/requirements-image.txt /tmp/
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.lock -r /tmp/requirements-image.txt

FROM ${PYTHON}
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin costlake \
    && install -d -o costlake -g costlake /lake /lake/serving /airflow /airflow/logs
COPY --from=packages /opt/venv /opt/venv
WORKDIR /opt/costlake
COPY pyproject.toml README.md ./
COPY costlake costlake
COPY ingest ingest
COPY streams streams
COPY quality quality
COPY insights insights
COPY dbt dbt
COPY dags dags
COPY deploy/airflow deploy/airflow
# Editable: dbt/ and dags/ are found beside the packages, as in a checkout; nothing is written here, dbt works in the lake.
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable .

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/costlake/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH=/airflow/bundles \
    AIRFLOW__COSMOS__CACHE_DIR=/airflow/cosmos \
    AIRFLOW__COSMOS__ENABLE_TELEMETRY=False \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    GX_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1 \
    COSTLAKE_HOME=/opt/costlake \
    COSTLAKE_LAKE=/lake \
    COSTLAKE_CONFIG_DIR=/opt/costlake/config
USER costlake
VOLUME ["/lake"]
# Whatever it runs as, it is of no use without a lake that it may write; compose adds a check per process.
HEALTHCHECK --interval=60s --timeout=5s --start-period=20s CMD ["python", "-c", "import os; from costlake.settings import Settings; raise SystemExit(not os.access(Settings.load().lake, os.W_OK))"]
CMD ["costlake", "--help"]
