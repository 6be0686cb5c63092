"""wandb never stops training, never delays it for long, and never learns where anything lies."""

import json
import sys
import threading
import types

import pytest

from cellcycle_jax.runs import wandb_log

RECORD = {"run_id": "a1b2c3", "training": {"seed": 0}, "data_dir": "/home/somebody/secret"}


class Run:
    """A run of a made-up wandb, which keeps what it is told."""

    def __init__(self, blocks=False):
        self.logged, self.finished, self.blocks = [], False, blocks
        self.release = threading.Event()

    def log(self, record, step):
        self.logged.append((step, record))

    def finish(self):
        if self.blocks:
            self.release.wait(60)
        self.finished = True


def install(monkeypatch, init):
    """A module `wandb` whose init is this; what it was called with."""
    calls = []

    def called(**options):
        calls.append(options)
        return init()

    module = types.SimpleNamespace(init=called, Settings=lambda **options: options)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return calls


def test_off_is_not_even_imported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it would raise
    wandb = wandb_log.Wandb("off", RECORD, tmp_path)
    wandb.log({"step": 1})
    wandb.finish()


def test_a_failure_is_one_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    wandb = wandb_log.Wandb("offline", RECORD, tmp_path)
    wandb.log({"step": 1})
    wandb.finish()
    assert len(caplog.records) == 1 and "metrics.jsonl is still written" in caplog.text


def test_what_is_logged_arrives_and_the_run_is_closed(tmp_path, monkeypatch):
    run = Run()
    calls = install(monkeypatch, lambda: run)
    wandb = wandb_log.Wandb("online", RECORD, tmp_path)
    wandb.log({"step": 4, "train_loss": 0.5})
    wandb.finish()
    assert run.logged == [(4, {"step": 4, "train_loss": 0.5})] and run.finished
    assert (calls[0]["id"], calls[0]["mode"], calls[0]["resume"]) == ("a1b2c3", "online", "allow")


def test_a_server_that_never_answers_is_not_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(wandb_log, "WAIT_S", 0.2)
    never = threading.Event()
    install(monkeypatch, lambda: never.wait(60))
    wandb = wandb_log.Wandb("online", RECORD, tmp_path)
    assert "it did not start within 0.2 s; metrics.jsonl is still written" in caplog.text
    wandb.log({"step": 1})
    wandb.finish()
    assert len(caplog.records) == 1
    never.set()


def test_an_end_that_takes_too_long_is_not_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(wandb_log, "WAIT_S", 0.2)
    run = Run(blocks=True)
    install(monkeypatch, lambda: run)
    wandb_log.Wandb("online", RECORD, tmp_path).finish()
    assert "it did not end within 0.2 s" in caplog.text
    run.release.set()


def test_a_start_waits_less_than_ten_seconds():
    assert wandb_log.WAIT_S < 10


@pytest.mark.parametrize("record", [RECORD, {"run_id": "c", "members": {"one": RECORD, "two": dict(RECORD)}}])
def test_no_path_is_handed_on(record, tmp_path, monkeypatch):
    calls = install(monkeypatch, Run)
    wandb_log.Wandb("offline", record, tmp_path)
    told = json.dumps(calls[0]["config"])
    assert "secret" not in told and "seed" in told
    assert "data_dir" in json.dumps(record)  # the caller's own record is as it was
