# syntax=docker/dockerfile:1
# One build for all three programs; each image holds one of them, statically linked, and nothing that could start a shell.
#   docker build --target router|server|sandbox .     an image
#   docker build --target test --build-arg PACKAGE=router .     that package's tests

ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/static-debian12:nonroot

# rust-toolchain.toml stays outside (.dockerignore): the image's own toolchain is the one, or every build would fetch another.
FROM ${RUST_IMAGE} AS toolchain
WORKDIR /src
ENV CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never CARGO_NET_RETRY=5

FROM toolchain AS build
COPY . .
ARG TARGETARCH
# glibc linked in: the programs then run on an image without a libc, and malloc and the resolver stay glibc's.
# With --target, or the flag would reach build scripts and macros too, which cannot be static.
ENV RUSTFLAGS="-C target-feature=+crt-static"
# What `…_build_info` shows.
ARG REVISION=unknown
ENV BUILD_REVISION=${REVISION}
RUN --mount=type=cache,id=whatsapp-router-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=whatsapp-router-release-${TARGETARCH},target=/src/target,sharing=locked \
    triple="$(uname -m)-unknown-linux-gnu" \
    && cargo build --release --locked --workspace --bins --target "$triple" \
    && mkdir -p /out/data \
    && cd "target/$triple/release" \
    && install -m 0555 --strip router server sandbox /out/

FROM toolchain AS test
COPY . .
ARG TARGETARCH
ARG PACKAGE=router
# The tests drive the real programs, so those come first.
RUN --mount=type=cache,id=whatsapp-router-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=whatsapp-router-test-${TARGETARCH},target=/src/target,sharing=locked \
    cargo build --locked --workspace --bins \
    && cargo test --locked --package "${PACKAGE}"

FROM ${RUNTIME_IMAGE} AS runtime
ARG SOURCE=https://github.com/whatsapp-router/whatsapp-router
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM

FROM runtime AS server
LABEL org.opencontainers.image.title="whatsapp-router server" \
      org.opencontainers.image.description="Speaks your business: POST /process turns a message into a reply"
COPY --from=build /out/server /server
EXPOSE 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/server", "healthcheck"]
ENTRYPOINT ["/server"]
CMD ["serve"]

# A simulator for trying and testing; never part of an installation.
FROM runtime AS sandbox
LABEL org.opencontainers.image.title="whatsapp-router sandbox" \
      org.opencontainers.image.description="WhatsApp on your desk: Graph API simulator, phone page, load generator"
COPY --from=build /out/sandbox /sandbox
ENV SANDBOX_LISTEN=0.0.0.0:8002
EXPOSE 8002
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/sandbox", "healthcheck"]
ENTRYPOINT ["/sandbox"]
CMD ["serve"]

# Last, so that a build without --target makes the router.
FROM runtime AS router
LABEL org.opencontainers.image.title="whatsapp-router" \
      org.opencontainers.image.description="Speaks WhatsApp: verified webhooks in, replies out, nothing lost in between"
COPY --from=build /out/router /router
# The only place it writes to. Owned by the user it runs as, and a new volume takes the owner over.
COPY --from=build --chown=65532:65532 /out/data /data
ENV DATABASE_URL=sqlite:///data/router.db
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/router", "healthcheck"]
ENTRYPOINT ["/router"]
CMD ["serve"]
