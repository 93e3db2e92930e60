#!/usr/bin/env bash
# Builds IMAGE:COMMIT_SHA, TARGET of Dockerfile.ml, with the models of the folder MODELS. BuildKit's inline cache keeps the layers
# of one stage: those of the build stage, including npm ci, are stored in an image of their own, IMAGE:cache.
set -euo pipefail
: "${IMAGE:?}" "${TARGET:?}" "${MODELS?}" "${COMMIT_SHA:?is set by a trigger; by hand give --substitutions COMMIT_SHA=\$(git rev-parse HEAD)}"

# A docker client older than 23 has BuildKit, a newer one needs its buildx plugin, and Google does not document which of them its
# builder has. Without BuildKit the image is the same, built without the cache.
has_buildkit() {
  docker buildx version >/dev/null 2>&1 || [ "$(docker version --format '{{.Client.Version}}' | cut -d . -f 1)" -lt 23 ]
}
build() { docker build --file Dockerfile.ml "$@" .; }

own=(--target "$TARGET" --build-arg "MODELS=$MODELS" --build-arg "REVISION=$COMMIT_SHA" --tag "$IMAGE:$COMMIT_SHA")
if has_buildkit; then
  export DOCKER_BUILDKIT=1
  build --target build --cache-from "$IMAGE:cache" --build-arg BUILDKIT_INLINE_CACHE=1 --tag "$IMAGE:cache"
  build "${own[@]}" --cache-from "$IMAGE:cache"
else
  export DOCKER_BUILDKIT=0
  # It runs the stages of the GPU for every target, and this variable, which only BuildKit sets, has them do something.
  if [ "$TARGET" = gpu ]; then own+=(--build-arg TARGETARCH=amd64); fi
  build "${own[@]}"
fi
