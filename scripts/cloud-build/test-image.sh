#!/usr/bin/env bash
# Runs the smoke test of `candidate` in a container of its own: this step has docker, and prints the log after a failure.
set -euo pipefail
: "${GOLDEN:?}"
workspace="${WORKSPACE:-/workspace}"
image=node:24.21.0-trixie

docker run --rm --network "${NETWORK:-cloudbuild}" --volume "$workspace:$workspace:ro" --workdir "$workspace" "${NODE_IMAGE:-$image}" \
  node scripts/smoke-test.ts http://candidate:8080 --golden "$GOLDEN" --wait 60 && exit
echo 'The log of the image:'
docker logs candidate
exit 1
