# limpid in a small image that runs as nobody.
#
#   docker build -t limpid .
#   docker run --rm -p 4800:4800 -p 4801:4801 limpid --upstream http://host.docker.internal:8000
#
# The binary is built twice, the second time with a profile of its own work (benches/pgo says how). `--build-arg PGO=0` builds
# it once, in less than half of the time.
#
# Inside a container the listeners must not be on loopback: the two variables below put them on all interfaces. Publish
# the admin port to those who may see the numbers.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
# zstd, the cryptography of TLS and the allocator are C (or assembler), the last with a Makefile; everything else is Rust.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
COPY . .
ARG PGO=1
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    if [ "$PGO" = 1 ]; then benches/pgo && cp target/pgo/limpid /limpid; \
    else cargo build --release --locked && cp target/release/limpid /limpid; fi

# glibc, certificate authorities and a `nonroot` user; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /limpid /usr/local/bin/limpid
ENV LIMPID_SERVER__LISTEN=0.0.0.0:4800 LIMPID_ADMIN__LISTEN=0.0.0.0:4801
EXPOSE 4800 4801
USER nonroot
ENTRYPOINT ["/usr/local/bin/limpid"]
