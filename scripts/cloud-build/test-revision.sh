#!/usr/bin/env bash
# Sends the golden rows to this build's revision, at its tag's URL: SERVICE_GOLDEN, or GOLDEN if that is empty. The audience of the
# token is the service's own URL.
set -euo pipefail
: "${GOLDEN:?}" "${SERVICE_GOLDEN?}"
read -r url service_url <"${STATE:-/workspace/.cloud-build}/urls"
exec node functions/cli/main.ts golden "${SERVICE_GOLDEN:-$GOLDEN}" --check "$url" --identity-token "$service_url"
