#!/usr/bin/env bash
# Runs the image's smoke test on this build's revision, at its tag's URL. Its token, whose audience is the service's own URL, is from
# the metadata server, which the network of the build's steps has.
set -euo pipefail
: "${IMAGE:?}" "${COMMIT_SHA:?}"
read -r url service_url <"${STATE:-/workspace/.cloud-build}/urls"
exec docker run --rm --network "${NETWORK:-cloudbuild}" --env GCE_METADATA_HOST "$IMAGE:$COMMIT_SHA" \
  dist/smoke-test.js "$url" --audience "$service_url" --golden /models
