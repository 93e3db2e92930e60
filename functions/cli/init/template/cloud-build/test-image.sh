#!/usr/bin/env bash
# Runs IMAGE:COMMIT_SHA as `candidate`, with the minimum that it needs, on the network of the build's steps, where its name is its
# address. The image is ready once its golden rows have come out right; then its own smoke test sends them over HTTP.
set -euo pipefail
: "${IMAGE:?}" "${COMMIT_SHA:?}"
network="${NETWORK:-cloudbuild}"

# A base for a GPU would use CUDA, and a build has no GPU.
docker run --detach --network "$network" --name candidate --env EXECUTION_PROVIDERS=cpu \
  --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges "$IMAGE:$COMMIT_SHA"
docker run --rm --network "$network" "$IMAGE:$COMMIT_SHA" \
  dist/smoke-test.js http://candidate:8080 --golden /models --wait "${WAIT_SECONDS:-120}" && exit
echo 'The log of the image:'
docker logs candidate
exit 1
