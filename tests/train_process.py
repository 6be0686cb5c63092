"""A process that trains tiny models, for tests of devices, processes and signals: python -m tests.train_process JOBS.

JOBS is a JSON file: {"data": folder, "mesh": arguments of mesh.start, "jobs": [...]}, each job {"workdir", "changes"},
and if it is asked for {"stop_at": step}, {"free": bytes of memory on device and host}, {"in_program": true}, by
which steps are run as on an accelerator, or {"members": {name: changes}}, whose run folders are WORKDIR-name.
"""

import functools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
PATIENCE_S = 300
# Everything random is on, and neither the batch nor the cells divide by eight.
TINY = {"model.filters": 4, "model.depth": 1, "model.dropout": 0.3, "augment.scale": 0.1, "train.batch_size": 11,
        "train.steps": 50, "train.eval_every": 10, "train.checkpoint_every": 50, "train.patience": 0}


def config(**changes):
    """A training config of a tiny model."""
    from configs import base

    made = base.training()
    made.update_from_flattened_dict(TINY | changes)
    return made


def start(data, jobs, devices: int = 1, **mesh):
    """Start a process that does `jobs` on so many simulated devices."""
    list_of_jobs = pathlib.Path(jobs[0]["workdir"]).with_suffix(f".{mesh.get('process', 0)}.jobs")
    list_of_jobs.write_text(json.dumps({"data": str(data), "mesh": mesh, "jobs": jobs}))
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)}
    return subprocess.Popen([sys.executable, "-m", "tests.train_process", str(list_of_jobs)], cwd=ROOT,
                            env=environment, stderr=subprocess.PIPE, text=True)


def finish(*processes) -> list[int]:
    """Wait for all of them; their exit codes. What a process that failed said is raised."""
    try:
        said = [process.communicate(timeout=PATIENCE_S)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode in (0, 75) for process in processes), said
    return [process.returncode for process in processes]


def pair(data, jobs) -> list[int]:
    """Do jobs by two processes of one device each; their exit codes."""
    port = free_port()
    return finish(*(start(data, jobs, coordinator=f"localhost:{port}", processes=2, process=p) for p in (0, 1)))


def launch(data, workdir, *flags):
    """Start `launch.py train` on a tiny model, as a user would."""
    command = [sys.executable, "launch.py", "train", "--config=configs/default.py", f"--data={data}",
               f"--workdir={workdir}", "--config.model.filters=4", "--config.model.depth=1",
               "--config.train.batch_size=4", "--config.train.patience=0", *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def content(folder, step=None) -> dict:
    """{name: array} of all that the newest or a certain step of a run, or of a cohort, holds: state and best."""
    import jax
    import orbax.checkpoint as ocp

    from cellcycle_jax.runs import checkpoint

    folder = pathlib.Path(folder).absolute() / "checkpoints"
    step = checkpoint.newest_step(folder) if step is None else step
    with ocp.StandardCheckpointer() as reader:
        trees = {item: reader.restore(folder / str(step) / item) for item in ("state", "best")}
    found, _ = jax.tree_util.tree_flatten_with_path(trees)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in found}


def scores(workdir) -> list[dict]:
    """The lines of metrics.jsonl without what a clock wrote."""
    from cellcycle_jax.runs import metric_log

    return [{name: value for name, value in line.items() if name != "seconds"} for line in metric_log.read(workdir)]


def stop_at(step):
    """Dispatch steps one by one, and send SIGTERM to this process once `step` are done."""
    from cellcycle_jax.training import loop

    until_next = loop._until_next

    def watch(done, chosen):
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return until_next(done, chosen)

    loop.DISPATCH_SECONDS, loop._until_next = 0.0, watch


def main(asked):
    """Do the jobs of a list."""
    from cellcycle_jax.devices import memory, mesh, model_sharding, runtime
    from cellcycle_jax.training import loop

    runtime.enable_compile_cache()
    mesh.start(**asked["mesh"])
    choose_layout = model_sharding.choose_layout
    for job in asked["jobs"]:
        if "stop_at" in job:
            stop_at(job["stop_at"])
        if "free" in job:
            memory.free_memory = functools.partial(tuple, job["free"])
        by_host = False if job.get("in_program") else None
        model_sharding.choose_layout = functools.partial(choose_layout, by_host=by_host)
        if "members" in job:
            members = {name: config(**job["changes"] | changes) for name, changes in job["members"].items()}
            folders = {name: f"{job['workdir']}-{name}" for name in members}
            loop.train_cohort(members, asked["data"], job["workdir"], folders)
        else:
            loop.train(config(**job["changes"]), asked["data"], job["workdir"])


if __name__ == "__main__":
    main(json.loads(pathlib.Path(sys.argv[1]).read_text()))
