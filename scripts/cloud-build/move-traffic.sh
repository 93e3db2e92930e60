#!/usr/bin/env bash
# Moves all traffic to the revision that was tested, and removes its tag. If a newer one serves, because the build of another commit
# has overtaken this one, it changes nothing and fails, so that the build does not tag its image latest.
set -euo pipefail
: "${SERVICE:?}" "${REGION:?}" "${PROJECT_ID:?}" "${COMMIT_SHA:?}" "${BUILD_ID:?}"
revision="$SERVICE-${COMMIT_SHA:0:7}-${BUILD_ID:0:8}"
where=(--project "$PROJECT_ID" --region "$REGION" --quiet)

# In nanoseconds: Cloud Run leaves out the zeros at the end of a fraction, so the texts do not compare.
created() {
  local text
  text="$(gcloud run revisions describe "$1" "${where[@]}" --format 'value(metadata.creationTimestamp)')"
  date --date "${text:?$1 has no creationTimestamp}" +%s%N
}

shares="$(gcloud run services describe "$SERVICE" "${where[@]}" --flatten 'status.traffic[]' \
  --format 'csv[no-heading](status.traffic.percent,status.traffic.revisionName)')"
own="$(created "$revision")"
for serving in $(awk -F , '$1 > 0 { print $2 }' <<<"$shares"); do
  theirs="$(created "$serving")"
  if [ "$theirs" -gt "$own" ]; then
    echo "$revision gets no traffic: $serving, which serves, is newer. To move it there all the same:" >&2
    echo "  gcloud run services update-traffic $SERVICE --region $REGION --to-revisions $revision=100" >&2
    exit 1
  fi
done
gcloud run services update-traffic "$SERVICE" "${where[@]}" \
  --to-revisions "$revision=100" --remove-tags "build-${BUILD_ID:0:8}"
