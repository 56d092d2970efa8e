# The README's steps in an image: make setup when it is built; when it is started, what make run runs.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home ganvas \
    && install --directory --owner=1000 --group=1000 /ganvas

USER 1000
WORKDIR /ganvas

# What setting up reads, so that a change of code alone installs nothing anew.
COPY --chown=1000:1000 Makefile pyproject.toml requirements.lock README.md LICENSE ./
COPY --chown=1000:1000 tools/install.py tools/
COPY --chown=1000:1000 src/ganvas/__init__.py src/ganvas/
RUN make setup

# and-cuda: CUDA's libraries for a GPU, which the host's NVIDIA driver and container toolkit open.
ARG EXTRA=
RUN if [ -n "${EXTRA}" ]; then \
        .venv/bin/python -m pip install --no-cache-dir --constraint requirements.lock \
            "tensorflow[${EXTRA}]"; \
    fi

COPY --chown=1000:1000 . .

ENV PATH=/ganvas/.venv/bin:${PATH}
VOLUME /ganvas/data
EXPOSE 8000
# As process 1, so that the SIGTERM of docker stop reaches it.
CMD ["kedro", "run"]
