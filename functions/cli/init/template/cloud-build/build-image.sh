#!/usr/bin/env bash
# Builds IMAGE:COMMIT_SHA on BASE. A checkout gives every file a new time: with the same time in every build, the layer of models that
# have not changed has the same digest, and is not pushed again.
set -euo pipefail
: "${IMAGE:?}" "${BASE:?}" "${COMMIT_SHA:?is set by a trigger; by hand give --substitutions COMMIT_SHA=\$(git rev-parse HEAD)}"

find models -exec touch -h -d @0 {} +
chmod -R a+rX models
# The classic builder: BuildKit of some versions gives folders the time of the build.
DOCKER_BUILDKIT=0 docker build --build-arg "BASE=$BASE" --label "org.opencontainers.image.revision=$COMMIT_SHA" --tag "$IMAGE:$COMMIT_SHA" .
