"""The image's recipe and the Compose file: clean for hadolint, without root, nothing unpinned."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
HADOLINT = Path(sys.executable).parent / "hadolint"
OURS = ("migrate", "apply", "serve", "work")


def lint(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HADOLINT, "--no-color", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def recipe() -> str:
    return DOCKERFILE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_hadolint_finds_nothing(recipe: str) -> None:
    result = lint(recipe)

    assert (result.returncode, result.stdout) == (0, "")
    assert "hadolint ignore" not in recipe


def test_hadolint_would_find_a_fault(recipe: str) -> None:
    result = lint(recipe + "RUN sudo apt-get install curl\n")

    assert result.returncode == 1
    assert "DL3004" in result.stdout


def test_the_process_runs_without_root(recipe: str) -> None:
    assert re.findall(r"^USER (.*)$", recipe, re.MULTILINE)[-1] == "10001:10001"


def test_dependencies_are_installed_by_hash(recipe: str) -> None:
    assert "--require-hashes -r requirements.txt" in recipe


def test_the_base_is_pinned_to_a_release(recipe: str) -> None:
    (image,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", recipe, re.MULTILINE)

    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", image)
    assert set(re.findall(r"^FROM (\S+)", recipe, re.MULTILINE)) == {"${PYTHON_IMAGE}"}


def test_what_is_copied_exists_and_is_sent_to_the_builder(recipe: str) -> None:
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", recipe, re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in kept, f"{source} is not let through by .dockerignore"


def test_variables_of_the_image_are_ones_the_settings_know(recipe: str) -> None:
    named = set(re.findall(r"HOOKWRIGHT_([A-Z_]+)", recipe))

    assert named
    assert named <= {name.upper() for name in Settings.model_fields}


def test_image_and_compose_carry_the_version_of_the_project(
    recipe: str, services: dict[str, dict[str, Any]]
) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]

    assert f'org.opencontainers.image.version="{version}"' in recipe
    assert {services[name]["image"] for name in OURS} == {f"hookwright:{version}"}


def test_every_service_is_hardened(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {*OURS, "postgres", "redis"}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.search(r":\d+\.\d+\.\d+|:\d+\.\d+-", service["image"]), name
        assert "healthcheck" in service or name == "serve", name
        assert not any("latest" in part for part in service["image"].split(":")), name


def test_services_start_in_the_order_they_need(services: dict[str, dict[str, Any]]) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["apply"]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"}
    }
    for name in ("serve", "work"):
        assert services[name]["depends_on"]["apply"] == {
            "condition": "service_completed_successfully"
        }


def test_the_queue_forgets_nothing_silently(services: dict[str, dict[str, Any]]) -> None:
    command = " ".join(services["redis"]["command"])

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_variables_of_compose_are_ones_the_settings_know(
    services: dict[str, dict[str, Any]],
) -> None:
    known = {f"HOOKWRIGHT_{name.upper()}" for name in Settings.model_fields}
    for name in OURS:
        assert set(services[name]["environment"]) <= known
