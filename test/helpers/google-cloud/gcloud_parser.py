"""Reads {"commands": [[word]], "builds": [path]} as JSON; tells what gcloud's own parsers have against each, as a JSON list."""

import json
import sys

ROOT = sys.argv[1]
sys.path[:0] = [f"{ROOT}/lib", f"{ROOT}/lib/third_party"]

from googlecloudsdk import gcloud_main
from googlecloudsdk.api_lib.cloudbuild import cloudbuild_util, config


def complaint(parse):
    try:
        parse()
    # argparse exits; what it says goes to stderr.
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return None


def parse_build(path):
    # What a trigger gives: gcloud checks the substitutions as Cloud Build does.
    given = {"COMMIT_SHA": "0123456"}
    config.LoadCloudbuildConfigFromPath(path, cloudbuild_util.GetMessagesModule(), params=given)


asked = json.load(sys.stdin)
parser = gcloud_main.CreateCLI([])._CLI__parser
said = [complaint(lambda: parser.parse_args(words)) for words in asked["commands"]]
said += [complaint(lambda: parse_build(path)) for path in asked["builds"]]
json.dump(said, sys.stdout)
