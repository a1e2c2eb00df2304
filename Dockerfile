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

FROM python:3.13-slim
RUN useradd --system --home-dir /evnt evnt && mkdir -p /evnt/var && chown evnt /evnt/var
WORKDIR /evnt
COPY --from=build /evnt /evnt
ENV PATH=/evnt/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER evnt
VOLUME /evnt/var
CMD ["python", "-m", "collector"]
