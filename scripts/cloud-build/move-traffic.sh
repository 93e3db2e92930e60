#!/usr/bin/env bash
# Moves the traffic to the revision that was tested, in the steps TRAFFIC_STEPS ("10 50 100": percents), and removes its tag. Each step
# lasts STEP_SECONDS; then the request logs say how many of the revision's responses were server errors. With more than
# MAX_ERROR_PERCENT of them, or if anything fails, the traffic goes back to where it was, and the script fails.
# If a newer revision serves, because the build of another commit has overtaken this one, it leaves the traffic there and fails, so that
# the build does not tag its image latest. It needs bash and gcloud alone.
set -euo pipefail
: "${SERVICE:?}" "${REGION:?}" "${PROJECT_ID:?}" "${COMMIT_SHA:?}" "${BUILD_ID:?}"
: "${TRAFFIC_STEPS:?}" "${STEP_SECONDS:?}" "${MAX_ERROR_PERCENT:?}"
revision="$SERVICE-${COMMIT_SHA:0:7}-${BUILD_ID:0:8}"
where=(--project "$PROJECT_ID" --region "$REGION" --quiet)
if [[ ! " $TRAFFIC_STEPS" =~ ^(\ [1-9][0-9]?)*\ 100$ ]]; then
  echo "TRAFFIC_STEPS: expected percents that end with 100, such as \"10 50 100\", got \"$TRAFFIC_STEPS\"" >&2
  exit 1
fi

# In nanoseconds: Cloud Run leaves out the zeros at the end of a fraction, so the texts do not compare.
created() {
  local text
  text="$(gcloud run revisions describe "$1" "${where[@]}" --format 'value(metadata.creationTimestamp)')"
  date --date "${text:?$1 has no creationTimestamp}" +%s%N
}

# The revisions that serve: a line "REVISION=PERCENT" for each.
shares() {
  gcloud run services describe "$SERVICE" "${where[@]}" --flatten 'status.traffic[]' \
    --format 'csv[no-heading](status.traffic.percent,status.traffic.revisionName)' |
    awk -F , '$1 > 0 { share[$2] += $1 } END { for (name in share) print name "=" share[name] }'
}

# The name of a revision among these shares that is newer than this one; empty if there is none.
newer_of() {
  local serving name theirs
  for serving in $1; do
    name="${serving%=*}"
    if [ "$name" = "$revision" ]; then continue; fi
    theirs="$(created "$name")" || return 1
    if [ "$theirs" -gt "$own" ]; then
      echo "$name"
      # In a trap, a bare `return` has the status of what ran before the trap.
      return 0
    fi
  done
}

# Request logs, not metrics: they are there within seconds. Probes are not in them.
check_errors() {
  local statuses
  statuses="$(gcloud logging read "resource.type=cloud_run_revision AND resource.labels.revision_name=$revision \
AND resource.labels.location=$REGION AND log_id(\"run.googleapis.com/requests\") AND timestamp>=\"$1\"" \
    --project "$PROJECT_ID" --limit 10000 --format 'value(httpRequest.status)')"
  awk -v most="$MAX_ERROR_PERCENT" 'NF { all++ } $1 >= 500 { errors++ } END {
    printf "%d of %d requests got a server error; %s %% are allowed\n", errors, all, most
    exit errors * 100 > most * all
  }' <<<"$statuses"
}

own="$(created "$revision")"
now="$(shares)"
before="${now//$'\n'/,}"
# A first deployment serves already.
if [ "$before" = "$revision=100" ]; then TRAFFIC_STEPS=''; fi

stop_for() {
  echo "$revision gets no more traffic: $1, which serves, is newer. To move it there all the same:" >&2
  echo "  gcloud run services update-traffic $SERVICE --region $REGION --to-revisions $revision=100" >&2
}
roll_back() {
  newer="$(newer_of "$(shares)")" || newer=''
  if [ -n "$newer" ]; then
    stop_for "$newer"
    return 0
  fi
  echo "the traffic goes back to ${before//,/, }; $revision keeps its tag build-${BUILD_ID:0:8}" >&2
  gcloud run services update-traffic "$SERVICE" "${where[@]}" --to-revisions "$before"
}
trap 'kill $(jobs -p) 2>/dev/null || true; exit 1' INT TERM
for percent in $TRAFFIC_STEPS; do
  newer="$(newer_of "$now")"
  if [ -n "$newer" ]; then
    trap - EXIT
    stop_for "$newer"
    exit 1
  fi
  trap roll_back EXIT
  since="$(date --utc +%Y-%m-%dT%H:%M:%SZ)"
  gcloud run services update-traffic "$SERVICE" "${where[@]}" --to-revisions "$revision=$percent"
  # In the background, so that a signal ends it.
  sleep "$STEP_SECONDS" &
  wait $!
  echo "$revision has $percent % of the traffic:"
  check_errors "$since"
  now="$(shares)"
done
trap - EXIT
# Named, where it served as the latest one: a revision without a test would take its place.
gcloud run services update-traffic "$SERVICE" "${where[@]}" \
  --to-revisions "$revision=100" --remove-tags "build-${BUILD_ID:0:8}"
