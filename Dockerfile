# syntax=docker/dockerfile:1
# vhash on a CPU, without a shell user, a compiler or anything that it does not need:
#   docker build -t vhash .
#   docker run --rm vhash demo
#   docker run --rm -v "$PWD/videos:/videos:ro" -v library:/library vhash add /library/main /videos
# The server with its settings: compose.yaml. For an NVIDIA GPU: other arguments, see below.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ARG PACKAGES=""
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ git ${PACKAGES} \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
ARG EXTRAS=cpu,serve,hub,sound
RUN python3 -m venv /opt/vhash && /opt/vhash/bin/pip install --no-cache-dir "/src[${EXTRAS}]"

# On NVIDIA's images, which bring no Python: BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04, EXTRAS=gpu,serve,
# PACKAGES="python3-dev python3-venv"; run it with --gpus all.
# NVDEC needs the driver's video library in the container, which is asked for by this variable.
FROM ${BASE}
ARG PACKAGES=""
ENV NVIDIA_DRIVER_CAPABILITIES=compute,video,utility
RUN apt-get update \
    && apt-get install -y --no-install-recommends libchromaprint1 ${PACKAGES} \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin vhash \
    && mkdir /library && chown 10001:10001 /library
COPY --from=build /opt/vhash /opt/vhash
ENV PATH=/opt/vhash/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /library
WORKDIR /library
ENTRYPOINT ["vhash"]
CMD ["--help"]
