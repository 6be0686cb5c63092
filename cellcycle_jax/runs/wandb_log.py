"""Metrics to Weights & Biases, where that is asked for. Nothing that goes wrong there stops or delays training."""

import logging
import threading

MODES = ("off", "offline", "online")
WAIT_S = 8  # how long a start, and an end, may take
PRIVATE = ("data_dir",)  # of a record: a path says who works where


class Wandb:
    """One wandb run. It fails once, with a warning, and stays silent from then on."""

    def __init__(self, mode: str, record: dict, workdir):
        """Start a wandb run.

        Args:
            mode: one of MODES; 'off': wandb is not even imported.
            record: what goes to RUN/config.json (or cohort.json); its run_id is the same for all parts of a run that
                is continued. Places of folders are not handed on.
            workdir: the run folder, under which offline files are kept.
        """
        self._run = None
        if mode != "off":
            self._run = self._in_time(lambda: _start(mode, record, workdir), "did not start")

    def log(self, record: dict) -> None:
        """Send one record, which holds `step`."""
        if self._run is not None:
            try:
                self._run.log(record, step=record["step"])
            except Exception as error:  # whatever it is, training matters more
                self._fail(str(error).split("\n")[0])

    def finish(self) -> None:
        """Close the run."""
        if self._run is not None:
            self._in_time(self._run.finish, "did not end")

    def _in_time(self, act, failed):
        """What `act` returns; None where it fails, or takes longer than `WAIT_S`, and nobody waits for it any more."""
        result = {}

        def run():
            try:
                result["value"] = act()
            except Exception as error:  # whatever it is, training matters more
                result["error"] = str(error).split("\n")[0]

        thread = threading.Thread(target=run, name="wandb", daemon=True)
        thread.start()
        thread.join(WAIT_S)
        if thread.is_alive() or "error" in result:
            self._fail(result.get("error", f"it {failed} within {WAIT_S} s"))
        return result.get("value")

    def _fail(self, why):
        self._run = None
        logging.warning("wandb failed and is off from here: %s; metrics.jsonl is still written", why)


def _start(mode, record, workdir):
    import wandb

    settings = wandb.Settings(
        init_timeout=WAIT_S,
        console="off",
        silent=True,
        disable_git=True,
        save_code=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        host="hidden",
        username="hidden",
    )
    return wandb.init(
        project="cellcycle_jax",
        mode=mode,
        config=without_places(record),
        dir=str(workdir),
        id=record["run_id"],
        resume="allow" if mode == "online" else None,
        settings=settings,
    )


def without_places(record: dict) -> dict:
    """A record, and those of its members, without where its data set lies."""
    public = {name: value for name, value in record.items() if name not in PRIVATE}
    if "members" in public:
        public["members"] = {name: without_places(member) for name, member in public["members"].items()}
    return public
