# A program that was built on the host, for scripts/build-fast. What is released comes from the Dockerfile of the project.
ARG RUNTIME_IMAGE=gcr.io/distroless/static-debian12:nonroot
FROM ${RUNTIME_IMAGE} AS runtime
USER 65532:65532

# An ENTRYPOINT forgets the CMD that was inherited, so each has its own.
FROM runtime AS server
COPY server /server
ENTRYPOINT ["/server"]
CMD ["serve"]

FROM runtime AS sandbox
COPY sandbox /sandbox
ENTRYPOINT ["/sandbox"]
CMD ["serve"]

FROM runtime AS router
COPY router /router
ENTRYPOINT ["/router"]
CMD ["serve"]
