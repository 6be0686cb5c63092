import getpass
import json
import socket

from cellcycle_jax import files
from cellcycle_jax.runs import metric_log


def test_records_are_read_back_and_a_cut_line_is_left_out(tmp_path):
    metric_log.append(tmp_path, {"step": 1, "loss": 0.5})
    metric_log.append(tmp_path, {"step": 2, "loss": 0.25})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 3, "lo')
    assert [record["step"] for record in metric_log.read(tmp_path)] == [1, 2]


def test_lines_that_are_no_records_are_left_out(tmp_path):
    lines = (b'{"step": 1}', b"null", b"[]", b"3", b'{"a": "\xff\xfe"}', b"[" * 100_000, b'{"step": 2}')
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert metric_log.read(tmp_path) == [{"step": 1}, {"step": 2}]


def test_a_record_after_a_line_that_a_kill_cut_off_is_kept(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files.os, "fsync", synced.append)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "lo')
    metric_log.append(tmp_path, {"step": 1, "event": "final_opened"})
    assert len(synced) == 1
    metric_log.append(tmp_path, {"step": 2})
    assert len(synced) == 1
    assert metric_log.read(tmp_path) == [{"step": 1}, {"step": 1, "event": "final_opened"}, {"step": 2}]


def test_rewinding_takes_back_later_scores_and_keeps_events(tmp_path):
    for record in ({"step": 1}, {"step": 2}, {"step": 3}, {"step": 3, "event": "final_opened"}):
        metric_log.append(tmp_path, record)
    metric_log.rewind(tmp_path, 1)
    assert metric_log.read(tmp_path) == [{"step": 1}, {"step": 3, "event": "final_opened"}]


def test_environment_names_no_host_user_or_folder():
    text = json.dumps(metric_log.environment())
    assert '"jax": "0.' in text and socket.gethostname() not in text and "/" not in text
    assert getpass.getuser() not in text.replace("jaxlib", "")


def test_what_stands_after_a_cut_off_line_is_still_read(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "lo\n{"step": 2, "event": "final_opened"}\n')
    assert metric_log.read(tmp_path) == [{"step": 1}, {"step": 2, "event": "final_opened"}]
