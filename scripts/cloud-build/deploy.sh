#!/usr/bin/env bash
# Deploys the image as a revision of its own name, reached by a tag alone. The revision's name and its tag are this build's, so
# that builds at the same time neither test nor move each other's. Leaves the tag's URL for the smoke test.
set -euo pipefail
: "${SERVICE:?}" "${REGION:?}" "${PROJECT_ID:?}" "${COMMIT_SHA:?}" "${BUILD_ID:?}"
state="${STATE:-/workspace/.cloud-build}"
suffix="${COMMIT_SHA:0:7}-${BUILD_ID:0:8}"
revision="$SERVICE-$suffix"
tag="build-${BUILD_ID:0:8}"
where=(--project "$PROJECT_ID" --region "$REGION" --quiet)

# A list, because an empty one is distinguished from a failed call; `describe` fails for both.
ready="$(gcloud run services list "${where[@]}" --filter "metadata.name=$SERVICE" \
  --format 'value(status.latestReadyRevisionName)')"
if [ -z "$ready" ]; then
  # There is nothing that could keep the traffic, and Cloud Run refuses --no-traffic: the revision serves at once. Until
  # somebody is given roles/run.invoker, nobody but the project's own accounts can call it.
  gcloud run services replace "$state/service.json" "${where[@]}"
  gcloud run services update-traffic "$SERVICE" "${where[@]}" --update-tags "$tag=$revision"
else
  # `update` rather than `deploy`: it changes the image and nothing else, and never makes a new service.
  gcloud run services update "$SERVICE" "${where[@]}" --image "$(cat "$state/image")" \
    --no-traffic --tag "$tag" --revision-suffix "$suffix"
fi

gcloud run services describe "$SERVICE" "${where[@]}" --flatten 'status.traffic[]' \
  --format 'csv[no-heading](status.traffic.tag,status.traffic.revisionName,status.traffic.url,status.url)' |
  awk -F , -v tag="$tag" -v revision="$revision" '$1 == tag && $2 == revision { print $3, $4 }' >"$state/urls"
if [ ! -s "$state/urls" ]; then
  echo "$SERVICE has no tag $tag on $revision: did somebody remove it meanwhile?" >&2
  exit 1
fi
cat "$state/urls"
