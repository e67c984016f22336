"""JSON schemas of the kinds that deploy/kubernetes uses, in kubeconform's layout, from Kubernetes' OpenAPI and KEDA's CRDs.

Strict: a field that the API does not know is a mistake, where a cluster would drop it in silence.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]

KINDS = (
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.batch.v1.Job",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.core.v1.Service",
    "io.k8s.api.networking.v1.NetworkPolicy",
    "io.k8s.api.policy.v1.PodDisruptionBudget",
)
CRDS = ("scaledobjects", "triggerauthentications")
_REF = "#/definitions/"
_INT_OR_STRING: Schema = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
_AS_WRITTEN: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
}
"""What OpenAPI calls a string and YAML may write as a number."""


def write_schemas(kubernetes: Path, keda: Path, into: Path) -> None:
    """`kubernetes`, `keda`: folders of the two Go modules."""
    definitions = json.loads((kubernetes / "api" / "openapi-spec" / "swagger.json").read_text())["definitions"]
    definitions |= _AS_WRITTEN
    for name in KINDS:
        _write(into / _file_of(definitions[name]), _standalone(name, definitions))
    for name in CRDS:
        crd = yaml.safe_load((keda / "config" / "crd" / "bases" / f"keda.sh_{name}.yaml").read_text())["spec"]
        version = next(version for version in crd["versions"] if version["storage"])
        file = f"{crd['names']['kind'].lower()}-{crd['group'].partition('.')[0]}-{version['name']}.json"
        _write(into / file, _strict(version["schema"]["openAPIV3Schema"]))
    scalers = json.loads((keda / "schema" / "generated" / "scalers-schema.json").read_text())["scalers"]
    _write(into / "scalers.json", {scaler["type"]: scaler["parameters"] for scaler in scalers})


def _file_of(definition: Schema) -> str:
    """As kubeconform asks for it: `deployment-apps-v1.json`, `service-v1.json`."""
    kind = definition["x-kubernetes-group-version-kind"][0]
    group = kind["group"].partition(".")[0]
    return "-".join(part for part in (kind["kind"].lower(), group, kind["version"]) if part) + ".json"


def _standalone(name: str, definitions: dict[str, Schema]) -> Schema:
    """The kind, and what it refers to, in one document."""
    wanted, pending = {}, [name]
    while pending:
        found = pending.pop()
        if found not in wanted:
            wanted[found] = _strict(definitions[found])
            pending += re.findall(rf'"{_REF}([^"]+)"', json.dumps(definitions[found]))
    return {"$ref": _REF + name, "definitions": wanted}


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return _INT_OR_STRING
    made = {key: _strict(value) for key, value in schema.items() if key != "description" or not isinstance(value, str)}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        made["additionalProperties"] = False
    return made


def _write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content))
