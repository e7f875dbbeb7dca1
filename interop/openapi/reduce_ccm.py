#!/usr/bin/env python3
"""Makes `ccm.json`, the part of Fortanix CCM's published OpenAPI document that dsma-local answers to, out of the whole document.

usage: reduce_ccm.py PUBLISHED.json > ccm.json

Left out: what dsma-local's CCM does not have (conversion of images, registries, configurations, approval requests of quorums, datasets,
workflows, clusters, the system's own settings), with the definitions that only they use, and prose. Nothing is changed.
"""

import json
import re
import sys

from reduce import reachable, without_prose

OUTSIDE = re.compile(
    r"^/v1/(app_configs|approval_requests|clusters|datasets|image|registry|runtime|system|tools|workflow)|convert-app|^/v1/workflows"
)
REFERENCE = "#/definitions/"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    paths = {
        path: {method: {"responses": operation["responses"]} for method, operation in methods.items() if method != "parameters"}
        for path, methods in document["paths"].items()
        if not OUTSIDE.search(path)
    }
    paths = without_prose(paths)
    # Refusals are `Event`s, though the document names no response of theirs.
    needed = [paths, {"$ref": REFERENCE + "Event"}]
    definitions = reachable(needed, without_prose(document["definitions"], names_follow=True), REFERENCE)
    info = {name: document["info"][name] for name in ("title", "version", "license")}
    reduced = {"swagger": document["swagger"], "info": info, "paths": paths, "definitions": definitions}
    json.dump(reduced, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
