#!/usr/bin/env bash
# The smoke test of this build's revision, by its tag's URL: with SERVICE_GOLDEN, or GOLDEN where that is empty. A token for it
# names the service's own URL.
set -euo pipefail
: "${GOLDEN:?}" "${SERVICE_GOLDEN?}"
read -r url service_url <"${STATE:-/workspace/.cloud-build}/urls"
exec node scripts/smoke-test.ts "$url" --audience "$service_url" --golden "${SERVICE_GOLDEN:-$GOLDEN}"
