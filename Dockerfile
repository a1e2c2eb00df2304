# One image for every process; the command says which: python -m collector | enricher | loader, or evnt ….
FROM python:3.13-slim AS build
WORKDIR /evnt
COPY requirements.lock ./
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE THIRD_PARTY_NOTICES.md ./
COPY shared shared
COPY collector collector
COPY enricher enricher
COPY loader loader
COPY cli cli
COPY config config
COPY schemas schemas
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && .venv/bin/python -m compileall -q -j 0 collector enricher loader shared cli

# The hot modules as C. The compiler and what mypyc needs stay behind in this stage; only what was compiled goes on.
FROM build AS compiled
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY requirements-dev.lock ./
RUN .venv/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY scripts scripts
RUN .venv/bin/python -m scripts.compile \
    && find . -path ./.venv -prune -o -name '*.so' -print | tar -c -f compiled.tar -T - compiled.json \
    && mkdir /compiled && tar -x -f compiled.tar -C /compiled

FROM python:3.13-slim
RUN useradd --system --home-dir /evnt evnt && mkdir -p /evnt/var && chown evnt /evnt/var
WORKDIR /evnt
COPY --from=build /evnt /evnt
COPY --from=compiled /compiled /evnt
ENV PATH=/evnt/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER evnt
VOLUME /evnt/var
CMD ["python", "-m", "collector"]
