#!/usr/bin/env bash
# Starts IMAGE:COMMIT_SHA as `candidate` on the network of the build's steps, where its name is its address, with the minimum that it is
# documented to need. An image without models gets the folder of GOLDEN.
set -euo pipefail
: "${IMAGE:?}" "${COMMIT_SHA:?}" "${MODELS?}" "${MODEL_NAME?}" "${GOLDEN:?}"

model=()
if [ -z "$MODELS" ]; then
  folder="$(dirname "$GOLDEN")"
  # The daemon is that of the build machine, where the workspace has the same path.
  model=(--volume "${WORKSPACE:-/workspace}/$folder:/candidate/model:ro" --env MODEL_URI=/candidate/model)
  # Checked here: Docker would create an empty folder.
  if [ -z "$(find "$folder" -maxdepth 2 -name '*.onnx' -print -quit)" ]; then
    echo "expected a model beside $GOLDEN, as _MODELS is empty: found no .onnx file in $folder" >&2
    exit 1
  fi
fi
# An image of target gpu would use CUDA, and a build has no GPU.
docker run --detach --network "${NETWORK:-cloudbuild}" --name candidate \
  --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
  --env "MODEL_NAME=$MODEL_NAME" --env EXECUTION_PROVIDERS=cpu "${model[@]}" "$IMAGE:$COMMIT_SHA"
