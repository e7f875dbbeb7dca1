#!/usr/bin/env python3
"""Makes `dsm.json`, the part of Fortanix DSM's published OpenAPI document that dsma-local answers to, out of the whole document.

usage: reduce.py PUBLISHED.json > dsm.json

Left out: operations outside this product, with the schemas that only they use, and prose. What remains is as published, but for the
few places that `mend` names, where the document cannot be fulfilled by anyone. README.md tells where the document comes from.
"""

import json
import re
import sys

# Fleet, identity federation, hardware behind DSM, plugins, second factors, statistics: DSM has them, dsma-local does not.
OUTSIDE = re.compile(
    r"^/saml/|/hmg/|/replication/|/2fa/|/config_2fa/|_extensions/|recovery_codes|aws_temporary_credentials"
    r"|/apps/\{app_id\}/groups|/approval_requests/\{req_id\}/challenge"
    r"|^/sys/v1/(credentials|external_roles|ldap|marketplace|plugins|roles|services|stats|tls_)"
)
PROSE = {"description", "summary", "example", "tags"}
METHODS = {"get", "put", "post", "delete", "patch"}
REFERENCE = "#/components/schemas/"


def without_prose(node, names_follow=False):
    """A copy without descriptive members. Below `properties` a member's name is a property's, and stays whatever it is."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if names_follow or name not in PROSE or not isinstance(value, str | list)}
    return {name: without_prose(value, names_follow=not names_follow and name == "properties") for name, value in kept.items()}


def references(node, prefix):
    """Names of the schemas that `node` refers to; a reference is the prefix and the name."""
    if isinstance(node, list):
        for item in node:
            yield from references(item, prefix)
    elif isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(prefix):
            yield target.removeprefix(prefix)
        for value in node.values():
            yield from references(value, prefix)


def reachable(paths, schemas, prefix=REFERENCE):
    """The schemas that these paths need, directly or through others."""
    found, waiting = {}, list(references(paths, prefix))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = schemas[name]
            waiting.extend(references(schemas[name], prefix))
    return {name: found[name] for name in sorted(found)}


def operation(published):
    # An OpenAPI response needs a description; all else that is prose goes.
    reduced = without_prose(published)
    for response in reduced["responses"].values():
        response["description"] = "Success"
    return reduced


def mend(schemas):
    """Places where no answer, DSM's own included, can be valid."""
    # An item is either a result or an error, and both forms fit every object, for neither demands its member: "exactly one" never holds.
    for operation_name in ("Encrypt", "Decrypt", "Sign", "Verify"):
        success, error = schemas[f"Batch{operation_name}ResponseItem"]["oneOf"]
        success["required"], error["required"] = ["status", "body"], ["status", "error"]
    # Null, which the published command line relies on, is both a nullable IPv4 address and a nullable IPv6 address, not one of them.
    address = schemas["EsAuditLog"]["allOf"][0]["properties"]["client_ip"]
    for form in address["oneOf"]:
        form.pop("nullable")
    address["nullable"] = True
    return schemas


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    paths = {
        path: {method: operation(item) if method in METHODS else without_prose(item) for method, item in methods.items()}
        for path, methods in document["paths"].items()
        if not OUTSIDE.search(path)
    }
    reduced = {
        "openapi": document["openapi"],
        "info": {name: document["info"][name] for name in ("title", "version", "license")},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": without_prose(document["components"]["securitySchemes"]),
            "parameters": without_prose(document["components"]["parameters"]),
            "schemas": reachable([paths, document["components"]["parameters"]], mend(without_prose(document["components"]["schemas"]))),
        },
    }
    json.dump(reduced, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
