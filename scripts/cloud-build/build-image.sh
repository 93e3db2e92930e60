#!/usr/bin/env bash
# Builds IMAGE:COMMIT_SHA with the models of the folder MODELS. BuildKit's inline cache keeps the layers of one stage: those of
# the build stage, npm ci among them, go into an image of their own, IMAGE:cache.
set -euo pipefail
: "${IMAGE:?}" "${MODELS?}" "${COMMIT_SHA:?is set by a trigger; by hand give --substitutions COMMIT_SHA=$(git rev-parse HEAD)}"
export DOCKER_BUILDKIT=1

build() { docker build --file Dockerfile.ml --cache-from "$IMAGE:cache" "$@" .; }
build --target build --build-arg BUILDKIT_INLINE_CACHE=1 --tag "$IMAGE:cache"
build --build-arg "MODELS=$MODELS" --build-arg "REVISION=$COMMIT_SHA" --tag "$IMAGE:$COMMIT_SHA"
