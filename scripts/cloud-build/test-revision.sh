#!/usr/bin/env bash
# Runs the smoke test of this build's revision, at its tag's URL, with SERVICE_GOLDEN, or GOLDEN if that is empty. The audience of its
# token is the service's own URL.
set -euo pipefail
: "${GOLDEN:?}" "${SERVICE_GOLDEN?}"
read -r url service_url <"${STATE:-/workspace/.cloud-build}/urls"
exec node scripts/smoke-test.ts "$url" --audience "$service_url" --golden "${SERVICE_GOLDEN:-$GOLDEN}"
