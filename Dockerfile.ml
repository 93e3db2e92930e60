# The server with a model in it, or without one:
#   docker build -f Dockerfile.ml -t ml-model:latest .
# An image of your own models is built on it: FROM ml-model:latest, COPY my-models /models. What is in /models is served in place of
# the models below.
#   docker build -f Dockerfile.ml -t ml-model:latest --build-arg MODELS=my-models .   your own folder; MODELS= for none
#   docker build -f Dockerfile.ml -t ml-model:latest --build-arg PICTURES=off .       20 MB less, without models of pictures
#   docker build -f Dockerfile.ml -t ml-model:latest --build-arg COMPILE=on .         with compiled models: see docs/operate/sizing.md
#   docker build -f Dockerfile.ml -t ml-model:gpu --target gpu .                      with CUDA; linux/amd64
# To pin a base image, give it with its digest: --build-arg NODE_IMAGE=node:24-trixie-slim@sha256:…
ARG NODE_IMAGE=node:24-trixie-slim
ARG RUN_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot
ARG CUDA_IMAGE=nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04
# BuildKit alone sets TARGETARCH, and builds only the stages that a target needs. The classic builder runs every stage above
# the target: with TARGETARCH unset those of the GPU pull and fetch nothing. There, for the GPU:
#   DOCKER_BUILDKIT=0 docker build -f Dockerfile.ml -t ml-model:gpu --target gpu --build-arg TARGETARCH=amd64 .
ARG GPU_IMAGE=${TARGETARCH:+$CUDA_IMAGE}

# What is copied into the image lies in /layers, a folder for each layer, with the same times in every build: a layer whose files are
# the same has the same digest, and is not pushed again. Each holds the folder app, whose time is copied with it.
FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc LICENSE ./
RUN npm ci --no-audit --no-fund
COPY scripts/runtime-modules.ts scripts/prune-onnxruntime.ts scripts/externals.ts scripts/command-line.ts scripts/
# The locale is the one that engines use in place of en_US.UTF-8, for scikit-learn's text models: 0.4 MB, of the glibc of the image.
ARG PICTURES=on
RUN node scripts/runtime-modules.ts --pictures "$PICTURES" /layers/modules/app \
 && node scripts/prune-onnxruntime.ts /layers/modules/app \
 && mkdir -p /layers/locale/usr/lib/locale \
 && cp -r /usr/lib/locale/C.utf8 /layers/locale/usr/lib/locale/ \
 && chmod -R a+rX /layers \
 && find /layers -exec touch --no-dereference --date @0 {} +
COPY scripts scripts
COPY functions functions
RUN npm run build -- --image \
 && mkdir -p /layers/server/app \
 && cp -r dist package.json LICENSE /layers/server/app/ \
 && cd /layers/server/app \
 && mv dist/sbom.cdx.json dist/THIRD_PARTY_LICENSES.txt . \
 && node /build/scripts/sbom.ts . /layers/modules/app \
 && chmod -R a+rX /layers/server \
 && find /layers/server -exec touch --no-dereference --date @0 {} +

# A stage of its own: only a change of the models runs it again.
FROM ${NODE_IMAGE} AS models
ARG MODELS=models
# The contents of the folder. Without one, a file that is always there, because COPY needs one.
COPY ${MODELS:-LICENSE} /layers/models/app/models/
RUN if [ -z "$MODELS" ]; then rm /layers/models/app/models/LICENSE; fi \
 && chmod -R a+rX /layers/models \
 && find /layers/models -exec touch --no-dereference --date @0 {} +

# Compiled models, beside the models, if COMPILE is on: the image grows by twice their weights. Only a CPU like this one uses them.
FROM build AS compiled
ARG COMPILE=off
COPY --from=models /layers/models/ /layers/models/
RUN if [ "$COMPILE" = on ]; then \
      node dist/compile-models.js /layers/models/app/models && chmod -R a+rX /layers/models; \
    fi \
 && find /layers/models -exec touch --no-dereference --date @0 {} +

# onnxruntime's CUDA provider, of the version that package-lock.json names, from NuGet.
FROM build AS cuda
ARG TARGETARCH
RUN if [ -n "$TARGETARCH" ]; then \
      node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 \
      && cp -r node_modules/onnxruntime-node/bin /layers/modules/app/node_modules/onnxruntime-node/ \
      && node scripts/prune-onnxruntime.ts /layers/modules/app \
      && node scripts/sbom.ts /layers/server/app /layers/modules/app \
      && chmod -R a+rX /layers \
      && find /layers -exec touch --no-dereference --date @0 {} +; \
    fi

FROM ${GPU_IMAGE:-$NODE_IMAGE} AS gpu
COPY --from=build /usr/local/bin/node /nodejs/bin/node
COPY --from=cuda /layers/modules/ /
COPY --from=models /layers/models/ /
COPY --from=cuda /layers/server/ /
WORKDIR /app
ENV NODE_ENV=production ORT_DISABLE_TELEMETRY=1 MALLOC_MMAP_THRESHOLD_=1048576 HOST=* PORT=8080 DEFAULT_MODEL_FOLDER=/models EXECUTION_PROVIDERS=cuda,cpu
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

# Node's compile cache is left out: it is silently ignored on another processor. The build has V8's code cache of the server instead,
# which V8 checks for its version and flags alone: the image's Node has to be of the build's version.
FROM ${RUN_IMAGE} AS cpu
COPY --from=build /layers/locale/ /
# The layer of the server changes most often, and is the last: the builder takes the others from its cache.
COPY --from=build /layers/modules/ /
COPY --from=compiled /layers/models/ /
COPY --from=build /layers/server/ /
WORKDIR /app
ENV NODE_ENV=production ORT_DISABLE_TELEMETRY=1 MALLOC_MMAP_THRESHOLD_=1048576 HOST=* PORT=8080 DEFAULT_MODEL_FOLDER=/models
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
