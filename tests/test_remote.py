"""Snapshots on object storage: servers without a state of their own, over folders and over S3."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.cli import app
from api.published import open_published, published_id
from engine.errors import GateError, MissingExtraError, RemoteError, SettingsError, SnapshotError
from engine.index.remote import Remote
from engine.index.snapshot import _sha256_of_values, current_id, list_snapshots, open_snapshot
from engine.schema import SearchRequest
from engine.settings import Settings
from indexer.publish import rollback
from indexer.reindex import reindex
from indexer.remote import push
from indexer.update import update
from shop import files_of, random_products, toy_settings, write_feed

PRODUCTS = random_products(80)


def nothing(_: str) -> None:
    """Listen to nobody."""


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 that a test server stands for."""
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        running.start()
        host, port = running.get_host_and_port()
        for name, value in {**environment, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("shop")
        yield "s3://shop"
        running.stop()


@pytest.fixture(params=["file", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path / 'remote'}"
    return f"{request.getfixturevalue('s3')}/{secrets.token_hex(4)}"


def published(tmp_path: Path, remote: str) -> Settings:
    settings = toy_settings(tmp_path / "store", remote=remote, compact_share=1.0)
    reindex(write_feed(PRODUCTS, tmp_path / "feed.jsonl"), settings)
    return settings


def replica(tmp_path: Path, remote: str) -> Settings:
    """A server elsewhere, which has nothing but the address."""
    return toy_settings(tmp_path / f"replica-{secrets.token_hex(3)}", remote=remote, reload_interval_s=0.02)


def test_a_server_writes_nowhere_but_into_its_own_copy(tmp_path: Path) -> None:
    """Whoever may write to the storage may not thereby write to the disks of servers."""
    settings = published(tmp_path, f"file://{tmp_path / 'remote'}")
    name = current_id(settings.store)
    path = tmp_path / "remote" / "snapshots" / name / "manifest.json"
    values = json.loads(path.read_text("utf-8"))
    del values["sha256"]
    entry = next(iter(values["files"].values()))
    outside = tmp_path / "outside"
    for file in ("../../../outside", str(outside), "documents/../../../outside"):
        there = {**values, "files": {**values["files"], file: entry}}
        path.write_text(json.dumps({**there, "sha256": _sha256_of_values(there)}))
        with pytest.raises(SnapshotError, match="was not written by daogou"):
            Remote(settings.remote).fetch(name, tmp_path / "replica")
        assert not outside.exists()
        assert current_id(tmp_path / "replica") == ""


def named(remote: str) -> tuple[set[str], set[str]]:
    """The files that lie there, and those that manifests there name."""
    there = Remote(remote)
    files = {p.rpartition("/")[2] for p in there.files.ls(f"{there.root}/files", detail=False)}
    manifests = there.files.glob(f"{there.root}/snapshots/*/manifest.json")
    return files, {e["sha256"] for m in manifests for e in json.loads(there.files.cat_file(m))["files"].values()}


def test_a_replica_serves_what_is_published_and_follows(tmp_path: Path, remote: str) -> None:
    store = published(tmp_path, remote)
    settings = replica(tmp_path, remote)
    with TestClient(create_app(settings)) as client:
        first = client.get("/v1/search", params={"q": "tent"}).json()
        assert first["snapshot"] == current_id(store.store)
        update(write_feed([PRODUCTS[0]], tmp_path / "change.jsonl"), store, delete=["P00007"])
        client.app.state.engines.refresh()  # type: ignore[attr-defined]
        second = client.get("/v1/search", params={"q": "tent"}).json()
        assert second["snapshot"] == current_id(store.store) != first["snapshot"]
        assert client.get("/v1/products/P00007").status_code == 404
    copy = settings.store / "copy"
    assert files_of(copy) == files_of(store.store)
    base = next(name for name in open_snapshot(copy).manifest.files if name.endswith("vectors.faiss") and "delta" not in name)
    before, after = (copy / "snapshots" / name / base for name in list_snapshots(copy))
    assert before.stat().st_ino == after.stat().st_ino  # what the snapshots share was fetched once
    files, wanted = named(remote)
    assert files == wanted


def test_a_rollback_reaches_the_replicas(tmp_path: Path, remote: str) -> None:
    store = published(tmp_path, remote)
    first = current_id(store.store)
    reindex(write_feed(PRODUCTS[:70], tmp_path / "feed.jsonl"), store)
    settings = replica(tmp_path, remote)
    engine = open_published(settings, None)
    assert engine.product_count == 70
    rollback(store.store)
    assert push(store, nothing) == first
    again = open_published(settings, engine)
    assert (again.snapshot_id, again.product_count) == (first, 80)


def test_what_the_store_drops_goes_there_too(tmp_path: Path, remote: str) -> None:
    store = published(tmp_path, remote).model_copy(update={"keep_snapshots": 2})
    for n in (70, 60, 50):
        reindex(write_feed(PRODUCTS[:n], tmp_path / "feed.jsonl"), store)
    files, wanted = named(remote)
    assert files == wanted
    there = Remote(remote)
    assert len(there.files.glob(f"{there.root}/snapshots/*/manifest.json")) == 2


@pytest.mark.parametrize("how", ["flipped", "short", "gone"])
def test_a_damaged_file_never_serves(tmp_path: Path, remote: str, how: str) -> None:
    published(tmp_path, remote)
    there = Remote(remote)
    path = sorted(there.files.ls(f"{there.root}/files", detail=False))[0]
    content = there.files.cat_file(path)
    if how == "gone":
        there.files.rm_file(path)
    else:
        there.files.pipe_file(path, bytes([content[0] ^ 1]) + content[1:] if how == "flipped" else content[:-1])
    settings = replica(tmp_path, remote)
    with pytest.raises(RemoteError):
        open_published(settings, None)
    assert list_snapshots(settings.store / "copy") == []
    there.files.pipe_file(path, content)
    assert open_published(settings, None).product_count == 80


def test_a_damaged_copy_is_fetched_anew(tmp_path: Path, remote: str) -> None:
    published(tmp_path, remote)
    settings = replica(tmp_path, remote)
    open_published(settings, None).close()
    snapshot = open_snapshot(settings.store / "copy")
    for name in snapshot.manifest.files:
        path = snapshot.path / name
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if content else b"x")
    assert open_published(settings, None).search(SearchRequest(q="tent")).found
    open_snapshot(settings.store / "copy")


def test_storage_that_does_not_answer_stops_nobody(tmp_path: Path) -> None:
    remote = f"file://{tmp_path / 'remote'}"
    store = published(tmp_path, remote)
    settings = replica(tmp_path, remote)
    open_published(settings, None).close()
    moved = (tmp_path / "remote").rename(tmp_path / "away")
    (tmp_path / "remote").write_text("not a folder")
    assert published_id(settings) == current_id(store.store)
    assert open_published(settings, None).product_count == 80  # a server that starts now serves its copy
    with pytest.raises(GateError, match="daogou push"):
        reindex(write_feed(PRODUCTS[:75], tmp_path / "feed.jsonl"), store)
    assert open_snapshot(store.store).manifest.products == 75  # published here, and later there
    (tmp_path / "remote").unlink()
    moved.rename(tmp_path / "remote")
    reindex(tmp_path / "feed.jsonl", store)
    assert open_published(settings, None).product_count == 75


def failing_at(step: int, files: type, patch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Let the so-manieth write to a storage fail; return what counts them."""
    steps = 0

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def write(*arguments: object, **named: object) -> object:
            nonlocal steps
            steps += 1
            if steps == step:
                raise OSError("the line is dead")
            return original(*arguments, **named)

        return write

    for name in ("put_file", "pipe_file", "rm", "rm_file"):
        patch.setattr(files, name, counted(getattr(files, name)))
    return lambda: steps


def test_pushing_broken_off_anywhere_leaves_the_old_one_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write to the storage in turn fails; a replica then serves a whole snapshot, and the next push ends it."""
    remote = f"file://{tmp_path / 'remote'}"
    store = published(tmp_path, remote)
    first = current_id(store.store)
    quiet = store.model_copy(update={"remote": ""})
    reindex(write_feed(PRODUCTS[:60], tmp_path / "feed.jsonl"), quiet)
    second, seen, fail_at = current_id(store.store), set(), 0
    shutil.copytree(tmp_path / "remote", tmp_path / "untouched")
    monkeypatch.setattr("indexer.remote._AT_A_TIME", 1)
    done = False
    while not done:
        shutil.rmtree(tmp_path / "remote")
        shutil.copytree(tmp_path / "untouched", tmp_path / "remote")
        fail_at += 1
        with monkeypatch.context() as patch:
            steps = failing_at(fail_at, type(Remote(remote).files), patch)
            with suppress(GateError):
                push(store, nothing)
            done = steps() < fail_at
        seen.add(open_published(replica(tmp_path, remote), None).snapshot_id)
        assert push(store, nothing) == second
        assert open_published(replica(tmp_path, remote), None).snapshot_id == second
    assert seen == {first, second}
    assert fail_at > 10


def test_two_stores_do_not_publish_over_each_other(tmp_path: Path, remote: str) -> None:
    published(tmp_path, remote)
    other = toy_settings(tmp_path / "other")
    reindex(write_feed(PRODUCTS[:40], tmp_path / "other.jsonl"), other)
    with pytest.raises(GateError, match="another store publishes there"):
        push(other.model_copy(update={"remote": remote}), nothing)
    assert open_published(replica(tmp_path, remote), None).product_count == 80


def test_an_empty_builder_builds_upon_what_is_published(tmp_path: Path, remote: str) -> None:
    published(tmp_path, remote)
    builder = toy_settings(tmp_path / "builder", remote=remote)
    report = reindex(write_feed([*PRODUCTS, *random_products(90)[80:]], tmp_path / "feed.jsonl"), builder)
    assert (report.embedded, report.reused) == (10, 80)
    assert open_published(replica(tmp_path, remote), None).product_count == 90


def test_what_is_wrong_with_the_address_is_said(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="fsspec"):
        Remote("nowhere://shop")
    with pytest.raises(MissingExtraError, match="needs another package"):
        Remote("abfs://shop")
    with pytest.raises(SnapshotError, match="No snapshot was published"):
        open_published(replica(tmp_path, f"file://{tmp_path}/nothing"), None)
    runner = CliRunner()
    store = tmp_path / "store"
    assert isinstance(runner.invoke(app, ["push", "--store", str(store)]).exception, SettingsError)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = toy_settings(tmp_path / "store")
    reindex(write_feed(PRODUCTS, tmp_path / "feed.jsonl"), plain)
    remote = f"file://{tmp_path / 'remote'}"
    monkeypatch.setenv("DAOGOU_REMOTE", remote)
    ran = CliRunner().invoke(app, ["push", "--store", str(tmp_path / "store")])
    assert (ran.exit_code, ran.stdout) == (0, f"{remote} serves {current_id(plain.store)}.\n")
    assert Remote(remote).current() == current_id(plain.store)
