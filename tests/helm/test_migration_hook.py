"""The Job before each install and upgrade: it must find all it needs before the release exists."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from schemas.config import Configuration
from tests.helm.conftest import Render, Resource
from tests.helm.value_sets import EVERYTHING, EXISTING_SECRET, MINIMAL, VALUE_SETS


def hooks(resources: list[Resource]) -> list[Resource]:
    return [item for item in resources if "helm.sh/hook" in item["metadata"].get("annotations", {})]


def only(resources: list[Resource], kind: str) -> Resource:
    (found,) = (item for item in hooks(resources) if item["kind"] == kind)
    return found


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS)
def test_the_job_refers_only_to_what_exists_before_it(
    render: Render, values: dict[str, Any]
) -> None:
    resources = render(values)
    job = only(resources, "Job")
    weight = int(job["metadata"]["annotations"]["helm.sh/hook-weight"])
    earlier = {
        item["metadata"]["name"]
        for item in hooks(resources)
        if int(item["metadata"]["annotations"]["helm.sh/hook-weight"]) < weight
    }
    yours = {values.get("existingSecret"), *values.get("extraSecretNames", [])}
    pod = job["spec"]["template"]["spec"]
    needed = {
        source["secretRef"]["name"]
        for container in pod.get("initContainers", []) + pod["containers"]
        for source in container["envFrom"]
    } | {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}

    assert needed <= earlier | yours
    assert "serviceAccountName" not in pod


def test_hooks_run_before_install_and_upgrade_and_leave_nothing(render: Render) -> None:
    found = hooks(render(EVERYTHING))

    assert {item["kind"] for item in found} == {"Secret", "ConfigMap", "Job"}
    for item in found:
        notes = item["metadata"]["annotations"]
        assert notes["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert notes["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"


def test_tables_are_migrated_before_the_configuration_is_applied(render: Render) -> None:
    pod = only(render(EVERYTHING), "Job")["spec"]["template"]["spec"]

    assert [item["args"] for item in pod["initContainers"]] == [["migrate"]]
    assert [item["args"] for item in pod["containers"]] == [
        ["apply", "-f", "/config/hookwright.yaml"]
    ]


def test_pruning_is_asked_for(render: Render) -> None:
    pod = only(render(EVERYTHING | {"migration": {"prune": True}}), "Job")["spec"]["template"]

    (apply,) = pod["spec"]["containers"]
    assert apply["args"] == ["apply", "-f", "/config/hookwright.yaml", "--prune"]


@pytest.mark.parametrize("values", [MINIMAL, EXISTING_SECRET], ids=["minimal", "existing-secret"])
def test_without_configuration_only_the_tables_are_migrated(
    render: Render, values: dict[str, Any]
) -> None:
    pod = only(render(values), "Job")["spec"]["template"]["spec"]

    assert "initContainers" not in pod
    assert [item["args"] for item in pod["containers"]] == [["migrate"]]


def test_the_configuration_arrives_as_it_was_given(render: Render) -> None:
    resources = render(EVERYTHING)
    data = only(resources, "ConfigMap")["data"]
    volumes = only(resources, "Job")["spec"]["template"]["spec"]["volumes"]
    (items,) = (volume["configMap"]["items"] for volume in volumes if "configMap" in volume)
    paths = {item["path"]: data[item["key"]] for item in items}

    applied = yaml.safe_load(paths.pop("hookwright.yaml"))
    assert applied == EVERYTHING["config"]
    assert Configuration.model_validate(applied).sources[0].name == "vibeview"
    assert paths == {f"workflows/{name}": text for name, text in EVERYTHING["workflows"].items()}
