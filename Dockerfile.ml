# The server with a model in it, or without one:
#   docker build -f Dockerfile.ml -t ml-model:latest .
#   docker build -f Dockerfile.ml -t ml-model:latest --build-arg MODELS=my-models .   your own folder; MODELS= for none
#   docker build -f Dockerfile.ml -t ml-model:gpu --target gpu .                      with CUDA; linux/amd64
# To pin a base image, give it with its digest: --build-arg NODE_IMAGE=node:24-trixie-slim@sha256:…
ARG NODE_IMAGE=node:24-trixie-slim
ARG RUN_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot
ARG CUDA_IMAGE=nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04
# BuildKit alone sets TARGETARCH, and builds only the stages that a target needs. The classic builder runs every stage above
# the target: with TARGETARCH unset those of the GPU pull and fetch nothing. There, for the GPU:
#   DOCKER_BUILDKIT=0 docker build -f Dockerfile.ml -t ml-model:gpu --target gpu --build-arg TARGETARCH=amd64 .
ARG GPU_IMAGE=${TARGETARCH:+$CUDA_IMAGE}

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc LICENSE ./
RUN npm ci --no-audit --no-fund
COPY scripts scripts
COPY functions functions
RUN npm run build \
 && node scripts/runtime-modules.ts /app \
 && node scripts/prune-onnxruntime.ts /app \
 && cp -r dist package.json LICENSE /app/ \
 && mv /app/dist/sbom.cdx.json /app/dist/THIRD_PARTY_LICENSES.txt /app/ \
 && node scripts/sbom.ts /app \
 && chmod -R a+rX /app

# A separate stage, so that a changed model does not rebuild the layers of the server.
FROM ${NODE_IMAGE} AS models
ARG MODELS=models
COPY . /context
RUN mkdir /models \
 && if [ -n "$MODELS" ] && [ ! -d "/context/$MODELS" ]; then \
      echo "MODELS=$MODELS: there is no such folder below the one given to docker build, or .dockerignore leaves it out" >&2; \
      exit 1; \
    fi \
 && if [ -n "$MODELS" ]; then cp -r "/context/$MODELS/." /models/; fi \
 && chmod -R a+rX /models

# onnxruntime's CUDA provider, of the version that package-lock.json names, from NuGet.
FROM build AS cuda
ARG TARGETARCH
RUN if [ -n "$TARGETARCH" ]; then \
      node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 \
      && cp -r node_modules/onnxruntime-node/bin /app/node_modules/onnxruntime-node/ \
      && node scripts/prune-onnxruntime.ts /app \
      && node scripts/sbom.ts /app; \
    fi

FROM ${GPU_IMAGE:-$NODE_IMAGE} AS gpu
COPY --from=build /usr/local/bin/node /nodejs/bin/node
COPY --from=cuda /app /app
COPY --from=models /models /app/models
WORKDIR /app
ENV NODE_ENV=production ORT_DISABLE_TELEMETRY=1 HOST=* PORT=8080 EXECUTION_PROVIDERS=cuda,cpu
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["/nodejs/bin/node", "dist/health-check.js"]
ENTRYPOINT ["/nodejs/bin/node"]
CMD ["--max-semi-space-size=2", "dist/server.js"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title=onnx-cloud-run \
      org.opencontainers.image.description="Serves ONNX models over HTTP" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION

# V8's compile cache is left out: it saved 10 ms of a start, less than the variation of Docker's own time, and it is silently
# ignored on another processor.
FROM ${RUN_IMAGE} AS cpu
# The locale that engines use in place of en_US.UTF-8, for scikit-learn's text models: 0.4 MB, of the same glibc.
COPY --from=build /usr/lib/locale/C.utf8 /usr/lib/locale/C.utf8
COPY --from=build /app /app
COPY --from=models /models /app/models
WORKDIR /app
ENV NODE_ENV=production ORT_DISABLE_TELEMETRY=1 HOST=* PORT=8080
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["/nodejs/bin/node", "dist/health-check.js"]
CMD ["--max-semi-space-size=2", "dist/server.js"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title=onnx-cloud-run \
      org.opencontainers.image.description="Serves ONNX models over HTTP" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
