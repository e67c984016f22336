"""What Airflow asks a provider about itself."""

from typing import Any

FIELDS: dict[str, Any] = {
    "hidden-fields": ["login"],
    "relabeling": {"password": "API key", "schema": "Schema"},
    "placeholders": {"host": "forebay.example.org", "port": "8000", "schema": "http"},
}


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": "forebay-airflow",
        "name": "Forebay",
        "description": "Batch scoring with Forebay: order a run, wait for it without a worker slot, once.",
        "integrations": [{"integration-name": "Forebay", "tags": ["service"]}],
        "operators": [{"integration-name": "Forebay", "python-modules": ["forebay_airflow.operator"]}],
        "hooks": [{"integration-name": "Forebay", "python-modules": ["forebay_airflow.hook"]}],
        "triggers": [{"integration-name": "Forebay", "python-modules": ["forebay_airflow.trigger"]}],
        "connection-types": [
            {
                "connection-type": "forebay",
                "hook-class-name": "forebay_airflow.hook.ForebayHook",
                "hook-name": "Forebay",
                "conn-fields": {
                    "public_url": {
                        "label": "Public URL",
                        "description": "Where people reach the API, for links; empty when that is host and port.",
                        "schema": {"type": ["string", "null"]},
                    }
                },
                "ui-field-behaviour": FIELDS,
            }
        ],
        "hook-class-names": ["forebay_airflow.hook.ForebayHook"],
        "extra-links": ["forebay_airflow.links.ForebayRunLink"],
    }
