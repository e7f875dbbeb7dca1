#!/usr/bin/env python3
"""Makes `ccm.json`, the part of Fortanix CCM's published OpenAPI document that dsma-local answers to, out of the whole document.

usage: reduce_ccm.py PUBLISHED.json > ccm.json

Left out: what dsma-local's CCM does not have (conversion of images, registries, configurations, approval requests of quorums, datasets,
workflows, clusters, the system's own settings), with the definitions that only they use, and prose. Nothing is changed.
"""

import json
import re
import sys

OUTSIDE = re.compile(
    r"^/v1/(app_configs|approval_requests|clusters|datasets|image|registry|runtime|system|tools|workflow)|convert-app|^/v1/workflows"
)
PROSE = {"description", "summary", "example", "tags"}
REFERENCE = "#/definitions/"


def without_prose(node, names_follow=False):
    """A copy without descriptive members. Below `properties` a member's name is a property's, and stays whatever it is."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if names_follow or name not in PROSE or not isinstance(value, str | list)}
    return {name: without_prose(value, names_follow=not names_follow and name == "properties") for name, value in kept.items()}


def references(node):
    """Names of the definitions that `node` refers to."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(REFERENCE):
            yield target.removeprefix(REFERENCE)
        for value in node.values():
            yield from references(value)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    paths = {
        path: {method: {"responses": operation["responses"]} for method, operation in methods.items() if method != "parameters"}
        for path, methods in document["paths"].items()
        if not OUTSIDE.search(path)
    }
    paths = without_prose(paths)
    definitions, waiting = {}, [*references(paths), "Event"]
    while waiting:
        name = waiting.pop()
        if name not in definitions:
            definitions[name] = without_prose(document["definitions"][name])
            waiting.extend(references(definitions[name]))
    info = {name: document["info"][name] for name in ("title", "version", "license")}
    reduced = {"swagger": document["swagger"], "info": info, "paths": paths, "definitions": dict(sorted(definitions.items()))}
    json.dump(reduced, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
