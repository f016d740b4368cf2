"""What is deployed names settings, commands and paths that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
import yaml

from api.cli import app
from engine.settings import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_settings_and_copied_paths_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    named = set(re.findall(r"DAOGOU_([A-Z][A-Z_]*[A-Z])", text))
    assert named <= {name.upper() for name in Settings.model_fields}
    for line in re.findall(r"^COPY (.+) \S+$", text, re.M):
        for source in line.split():
            assert (DEPLOY.parent / source).exists(), source


def test_only_what_images_copy_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (DEPLOY.parent / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for path in DEPLOY.glob("Dockerfile*"):
        copied = {source for line in re.findall(r"^COPY (.+) \S+$", path.read_text("utf-8"), re.M) for source in line.split()}
        assert copied == sent


def test_the_manifests_fit_together() -> None:
    parts = {(p["kind"], p["metadata"]["name"]): p for p in yaml.safe_load_all((DEPLOY / "kubernetes" / "daogou.yaml").read_text("utf-8"))}
    deployment = parts["Deployment", "daogou"]["spec"]["template"]
    labels = deployment["metadata"]["labels"]
    assert parts["Service", "daogou"]["spec"]["selector"].items() <= labels.items()
    assert parts["NetworkPolicy", "daogou"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    job = parts["CronJob", "daogou-index"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for pod in (deployment["spec"], job):
        (container,) = pod["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container.get("args", ["serve"])[0] in COMMANDS
    serve = deployment["spec"]["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert serve[probe]["httpGet"]["path"] in {"/readyz", "/healthz"}


def test_the_services_of_compose_run_commands_that_exist() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yml").read_text("utf-8"))["services"]
    assert services["serve"]["command"][0] in COMMANDS
    assert services["index"]["entrypoint"][1] in COMMANDS
    assert {v.split(":")[0] for s in services.values() for v in s["volumes"]} <= {"store", "milvus", "../feeds"}
