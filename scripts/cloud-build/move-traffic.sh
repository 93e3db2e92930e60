#!/usr/bin/env bash
# Gives all traffic to the revision that was tested, whatever has been deployed since, and drops its tag.
set -euo pipefail
: "${SERVICE:?}" "${REGION:?}" "${PROJECT_ID:?}" "${COMMIT_SHA:?}" "${BUILD_ID:?}"
gcloud run services update-traffic "$SERVICE" --project "$PROJECT_ID" --region "$REGION" --quiet \
  --to-revisions "$SERVICE-${COMMIT_SHA:0:7}-${BUILD_ID:0:8}=100" --remove-tags "build-${BUILD_ID:0:8}"
