"""What the chart renders: valid for the cluster, hardened, and the processes of the contract."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import helm_python
import jsonschema
import kubernetes_validate
import pytest
import yaml

from service.settings import Settings
from tests.helm.conftest import CHART, Render, Resource
from tests.helm.value_sets import (
    EVERYTHING,
    EXISTING_SECRET,
    MINIMAL,
    ONE_OF_EACH,
    SECRETS,
    VALUE_SETS,
)

ROOT = Path(__file__).parents[2]
KUBERNETES_VERSIONS = ("1.27.0", kubernetes_validate.latest_version())

WRITABLE = {"/data", "/tmp"}  # noqa: S108  # mount points inside the container

every_value_set = pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS)


def find(resources: list[Resource], kind: str, name: str) -> Resource:
    (found,) = (
        item for item in resources if item["kind"] == kind and item["metadata"]["name"] == name
    )
    return found


def pods(resources: list[Resource]) -> list[dict[str, Any]]:
    return [item["spec"]["template"] for item in resources if item["kind"] in {"Deployment", "Job"}]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container["env"]}


def test_the_values_of_the_readme_render(render: Render) -> None:
    text = (CHART / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)

    kinds = [item["kind"] for item in render(yaml.safe_load(example))]

    assert {"Deployment", "Ingress", "Job", "ConfigMap"} <= set(kinds)


@every_value_set
@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_cluster_would_accept_every_resource(
    render: Render, values: dict[str, Any], version: str
) -> None:
    resources = render(values)

    assert resources
    for resource in resources:
        kubernetes_validate.validate(resource, version, strict=True)


def test_the_validator_would_notice_a_fault(render: Render) -> None:
    service = find(render(MINIMAL), "Service", "prod-hookwright")
    service["spec"]["prots"] = service["spec"].pop("ports")

    with pytest.raises(kubernetes_validate.ValidationError, match="prots"):
        kubernetes_validate.validate(service, KUBERNETES_VERSIONS[-1], strict=True)


@every_value_set
def test_lint_finds_nothing_but_the_missing_icon(values: dict[str, Any]) -> None:
    report = helm_python.lint(CHART, values, strict=True)

    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("missing", ["databaseUrl", "redisUrl", "secretKeys"])
def test_a_missing_secret_is_named_with_both_remedies(render: Render, missing: str) -> None:
    given = {name: text for name, text in SECRETS.items() if name != missing}

    with pytest.raises(helm_python.HelmRenderError) as caught:
        render({"secrets": given})

    assert f"secrets.{missing} is missing" in str(caught.value)
    assert "existingSecret" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"reciever": {}}, "reciever"),
        ({"receiver": {"replicas": 0}}, "/receiver/replicas"),
        ({"secrets": SECRETS | {"databaseUrl": "sqlite:///here.db"}}, "/secrets/databaseUrl"),
        ({"secrets": SECRETS | {"secretKeys": "short"}}, "/secrets/secretKeys"),
        ({"settings": {"effects": "dry"}}, "/settings/effects"),
        ({"config": {"sources": {}}}, "/config/sources"),
    ],
)
def test_a_wrong_value_is_named(render: Render, values: dict[str, Any], named: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=named):
        render({"secrets": SECRETS} | values)


def test_an_ingress_needs_a_host(render: Render) -> None:
    with pytest.raises(helm_python.HelmRenderError, match=r"ingress\.hosts"):
        render(MINIMAL | {"ingress": {"enabled": True}})


def test_the_values_file_and_its_schema_name_the_same_keys() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = yaml.safe_load((CHART / "values.schema.json").read_text(encoding="utf-8"))

    jsonschema.Draft7Validator.check_schema(schema)
    assert_same_keys(values, schema, "")


def assert_same_keys(values: dict[str, Any], schema: dict[str, Any], path: str) -> None:
    """Where the schema closes an object, the values file shows every key it may have."""
    assert set(values) == set(schema["properties"]) - {"global"}, path
    for name, value in values.items():
        below = schema["properties"][name]
        if isinstance(value, dict) and below.get("additionalProperties") is False:
            assert_same_keys(value, below, f"{path}/{name}")


def test_the_chart_installs_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["appVersion"] == project["version"]
    assert chart["version"] == project["version"]


@every_value_set
def test_every_container_is_hardened(render: Render, values: dict[str, Any]) -> None:
    for pod in pods(render(values)):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            writable = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert writable >= WRITABLE


@every_value_set
def test_every_variable_is_one_the_settings_know(render: Render, values: dict[str, Any]) -> None:
    known = {f"HOOKWRIGHT_{name.upper()}" for name in Settings.model_fields}
    for pod in pods(render(values)):
        for container in containers(pod):
            ours = {name for name in environment(container) if name.startswith("HOOKWRIGHT_")}
            assert ours
            assert ours <= known


def test_the_values_become_settings_that_are_accepted(
    render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = render(EVERYTHING)
    (worker,) = containers(find(resources, "Deployment", "hooks-worker")["spec"]["template"])
    secret = find(resources, "Secret", "hooks")["stringData"]
    for name, value in (environment(worker) | secret).items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert settings.effective_database_url == SECRETS["databaseUrl"]
    assert settings.redis_url == SECRETS["redisUrl"]
    assert settings.secret_keys == (SECRETS["secretKeys"],)
    assert settings.public_url == "https://hooks.example.com"
    assert settings.worker_threads == 16
    assert settings.shutdown_seconds < EVERYTHING.get("terminationGracePeriodSeconds", 90)
    assert secret["VIBEVIEW_WEBHOOK_SECRET"] == 'quo"te\\and: colon'


def test_receivers_and_workers_run_their_commands(render: Render) -> None:
    resources = render(MINIMAL)
    (receiver,) = containers(
        find(resources, "Deployment", "prod-hookwright-receiver")["spec"]["template"]
    )
    (worker,) = containers(
        find(resources, "Deployment", "prod-hookwright-worker")["spec"]["template"]
    )

    assert receiver["args"] == ["serve"]
    assert receiver["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert receiver["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert worker["args"] == ["work"]
    assert worker["livenessProbe"]["exec"]["command"] == ["hookwright", "work", "--check"]
    assert "ports" not in worker


@every_value_set
def test_services_and_budgets_select_exactly_their_pods(
    render: Render, values: dict[str, Any]
) -> None:
    resources = render(values)
    deployments = [item for item in resources if item["kind"] == "Deployment"]
    selectors = [item["spec"]["selector"] for item in resources if item["kind"] == "Service"] + [
        item["spec"]["selector"]["matchLabels"]
        for item in resources
        if item["kind"] == "PodDisruptionBudget"
    ]

    for selector in selectors:
        matched = [
            item
            for item in deployments
            if selector.items() <= item["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert len(matched) == 1
        assert matched[0]["spec"]["selector"]["matchLabels"] == selector


def test_one_pod_alone_gets_no_budget_that_would_block_a_drain(render: Render) -> None:
    kinds = {item["kind"] for item in render(ONE_OF_EACH)}

    assert "PodDisruptionBudget" not in kinds
    assert "PodDisruptionBudget" in {item["kind"] for item in render(MINIMAL)}


def test_autoscaling_owns_the_number_of_pods(render: Render) -> None:
    resources = render(EVERYTHING)

    for role in ("receiver", "worker"):
        assert "replicas" not in find(resources, "Deployment", f"hooks-{role}")["spec"]
        scaler = find(resources, "HorizontalPodAutoscaler", f"hooks-{role}")
        assert scaler["spec"]["scaleTargetRef"]["name"] == f"hooks-{role}"


def test_a_named_secret_is_used_everywhere_and_none_is_made(render: Render) -> None:
    resources = render(EXISTING_SECRET)

    assert "Secret" not in {item["kind"] for item in resources}
    for pod in pods(resources):
        for container in containers(pod):
            names = [source["secretRef"]["name"] for source in container["envFrom"]]
            assert names == ["hookwright-secrets", "vendor-secrets"]
