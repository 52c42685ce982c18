# One image for every process: `up` (default), `serve`, `work`, `migrate`, `apply` ...
# The first stage installs by hash into a virtual environment; the second holds that environment and nothing to build with.

ARG PYTHON_IMAGE=python:3.13.9-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/hookwright
COPY requirements.txt ./
RUN /opt/hookwright/bin/pip install --only-binary=:all: --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY service service
COPY workers workers
COPY migrations migrations
COPY examples/workflows examples/workflows
RUN /opt/hookwright/bin/pip install --no-deps --no-build-isolation . \
    && /opt/hookwright/bin/pip uninstall --yes setuptools pip

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Hookwright" \
      org.opencontainers.image.description="Self-hosted webhook receiver and event-driven orchestrator for QA and platform teams" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 hookwright \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin hookwright \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /opt/hookwright /opt/hookwright
# Bytecode is in the image already; nothing is written outside /data and /tmp, so the root file system may be read-only.
ENV PATH=/opt/hookwright/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOOKWRIGHT_DATA_DIR=/data \
    HOOKWRIGHT_HOST=0.0.0.0 \
    HOOKWRIGHT_PORT=8080
# ./hookwright.yaml is looked for here.
WORKDIR /data
VOLUME /data
EXPOSE 8080
USER 10001:10001
# For processes that answer HTTP. Elsewhere (`work`) name `hookwright work --check` instead, as compose.yaml does.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"HOOKWRIGHT_PORT\"]}/health/live', timeout=4)"]
ENTRYPOINT ["hookwright"]
CMD ["up"]
