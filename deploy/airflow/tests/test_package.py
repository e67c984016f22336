"""What Airflow sees of the package before any task runs: the provider, the connection type, the DAG files."""

import subprocess
import sys

import pytest
from conftest import DAGS


def test_airflow_finds_the_provider_the_connection_type_and_the_link() -> None:
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    found = ProvidersManager()
    assert "forebay-airflow" in found.providers
    assert "forebay_airflow.links.ForebayRunLink" in found.extra_links_class_names
    connection = ProvidersManagerTaskRuntime().hooks["forebay"]
    assert connection is not None
    assert (connection.hook_name, connection.connection_id_attribute_name) == ("Forebay", "forebay_conn_id")


def test_airflow_may_ask_for_it_while_it_is_being_imported() -> None:
    asked = "import sys, forebay_airflow.info as info; info.get_provider_info(); print('airflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


def test_only_what_is_there_is_exported() -> None:
    import forebay_airflow

    assert {getattr(forebay_airflow, name).__name__ for name in forebay_airflow.__all__} == set(forebay_airflow.__all__)
    with pytest.raises(AttributeError):
        _ = forebay_airflow.ForebayNothing


def test_the_example_dag_is_imported_without_errors_or_warnings() -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    bag = DagBag(DAGS)
    assert (bag.import_errors, bag.captured_warnings) == ({}, {})
    dag = bag.dags["forebay_nightly"]
    (task,) = dag.tasks
    assert task.deferrable
    assert DagSerialization.serialize_dag(dag)["tasks"]
