#!/usr/bin/env bash
# Sends the golden rows to `candidate`, from a container of its own: this step has docker, and prints the log after a failure.
set -euo pipefail
: "${GOLDEN:?}"
workspace="${WORKSPACE:-/workspace}"
image=node:24.21.0-trixie

docker run --rm --network "${NETWORK:-cloudbuild}" --volume "$workspace:$workspace:ro" --workdir "$workspace" "${NODE_IMAGE:-$image}" \
  node functions/cli/main.ts golden "$GOLDEN" --check http://candidate:8080 --wait 60 && exit
echo 'The log of the image:'
docker logs candidate
exit 1
