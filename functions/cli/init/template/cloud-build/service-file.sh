#!/usr/bin/env bash
# Writes the service for a first deployment: service.yaml with this build's image, by digest, and the name of its revision.
set -euo pipefail
: "${SERVICE:?}" "${PROJECT_ID:?}" "${COMMIT_SHA:?}" "${BUILD_ID:?}"
state="${STATE:-/workspace/.cloud-build}"

for line in '^ *- image: ' '^    metadata:$' "^  name: $SERVICE\$"; do
  if [ "$(grep -c -- "$line" service.yaml)" != 1 ]; then
    echo "service.yaml: expected one line that matches '$line': the build puts its names there" >&2
    exit 1
  fi
done
# Cloud Run reads the file as YAML, of which JSON is a part.
sed -e "s|PROJECT_ID|$PROJECT_ID|g" \
  -e "s|^\( *- image:\) .*|\1 $(cat "$state/image")|" \
  -e "s|^    metadata:\$|&\n      name: $SERVICE-${COMMIT_SHA:0:7}-${BUILD_ID:0:8}|" service.yaml >"$state/service.json"
