#!/usr/bin/env bash
# Pushes IMAGE:COMMIT_SHA, and the cache if there is one. Writes the image's name by digest, which no later push can move, for the
# next steps.
set -euo pipefail
: "${IMAGE:?}" "${COMMIT_SHA:?}"
state="${STATE:-/workspace/.cloud-build}"

docker push "$IMAGE:$COMMIT_SHA"
if docker image inspect "$IMAGE:cache" >/dev/null 2>&1; then docker push "$IMAGE:cache"; fi
mkdir -p "$state"
docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$IMAGE:$COMMIT_SHA" |
  grep "^$IMAGE@sha256:" | head -n 1 >"$state/image"
cat "$state/image"
