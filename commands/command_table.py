"""The commands of launch.py: what each does, in a sentence, and its flags. commands/NAME.py does it."""

from collections.abc import Callable
from typing import NamedTuple

from configs import base

SHIPPED = "pretrained/simulated_dna"  # a small model, so that predict runs at once


class Flag(NamedTuple):
    """A flag of a command, written --NAME=VALUE, or --NAME alone where its default is False.

    Attributes:
        default: the value where it is not given; None: it must be given.
        help: what it is for.
    """

    default: str | int | bool | None
    help: str


class Command(NamedTuple):
    """A command of launch.py.

    Attributes:
        help: what it does.
        flags: by their names, without --.
        config: the function of configs/base.py whose fields its --config has; None where it has no config, or a study.
        section: of the run's config, whose fields it can change; "" where it can change none.
    """

    help: str
    flags: dict[str, Flag]
    config: Callable | None = None
    section: str = ""


REQUIRE_ACCELERATOR = Flag("", "gpu or tpu: end with code 7 where JAX finds none; empty: use what is there")

# Flags of commands about a finished run.
RUN = {
    "workdir": Flag(None, "folder of the run"),
    "data": Flag("", "folder of its data set, where that has been moved; the run remembers it"),
}
# Flags of commands that begin with fields.
FIELDS = {
    "config": Flag(None, "Python file with get_config(), e.g. configs/data/simulated.py"),
    "fields": Flag(None, "folder with the microscope fields"),
    "out": Flag(None, "folder to write"),
}

SIMULATE = Command(
    help="Write fields with a known answer.",
    config=base.simulation,
    flags={
        "config": Flag("configs/simulate.py", "Python file with get_config()"),
        "out": Flag(None, "folder to write"),
    },
)

PREPARE = Command(
    help="Turn a folder of fields into a data set: cells found, measured, labelled, split and packed.",
    config=base.preparation,
    flags={
        **FIELDS,
        "labels": Flag("", "edited qc/labels.csv of an earlier run"),
        "overwrite": Flag(False, "replace a finished data set"),
        "strict": Flag(False, "refuse everything when one file is refused"),
        "keep": Flag(
            False,
            "keep what was found in each field, so that other labels, another split or other bounds (with "
            "--overwrite) take seconds",
        ),
    },
)

TRAIN = Command(
    help="Train a model on a data set; run again to resume after an interruption.",
    config=base.training,
    flags={
        "config": Flag(None, "Python file with get_config(), e.g. configs/default.py"),
        "data": Flag(None, "folder that prepare wrote"),
        "workdir": Flag(None, "folder of the run"),
        # For accelerators and several hosts, see docs/cloud.md.
        "require_accelerator": REQUIRE_ACCELERATOR,
        "coordinator": Flag(
            "", "HOST:PORT of process 0, where several hosts train together and no scheduler says so"
        ),
        "processes": Flag(0, "how many there are, with --coordinator"),
        "process": Flag(-1, "which one this is, from 0, with --coordinator"),
    },
)

EVALUATE = Command(
    help="Score a run on its validation split, or with --final on the locked test split.",
    flags={
        **RUN,
        "final": Flag(False, "open the locked test split, and log that it was opened"),
    },
)

EXPLAIN = Command(
    help="What drives the predictions of a run, and whether that can be trusted: maps, checks and a passport.",
    flags={
        **RUN,
        "tap": Flag("", "activation that Grad-CAM uses, e.g. stage2; empty: config.explain.tap"),
        "others": Flag("", "folders of runs with other seeds or permuted labels, by commas"),
    },
    section="explain",
)

UNNAMED = Command(
    help="What the network uses that no measurement holds: how much, where, and a new measurement for it.",
    flags=RUN,
    section="explain",
)

COUNTERFACTUAL = Command(
    help="What would have to change for a cell to be called otherwise: the shortest edit, and the nearest real cell.",
    flags={**RUN, "others": Flag("", "folders of runs with other seeds, by commas: do they call edited cells alike?")},
)

DISCOVER = Command(
    help="Rank measured features and pairs that separate the classes.",
    flags=RUN,
)

REPORT = Command(
    help="One self-contained page about a run.",
    flags=RUN,
)

PREDICT = Command(
    help="Apply a trained run to new fields: a row per cell, an overlay per field, and what is unlike training.",
    config=base.preparation,
    flags={
        "workdir": Flag(SHIPPED, "folder of a run, or of a predictor"),
        "fields": Flag(None, "folder with the new fields"),
        "out": Flag(None, "folder to write"),
        "config": Flag("configs/new_fields.py", "Python file that says how the new fields are stored"),
        "overwrite": Flag(False, "replace finished predictions"),
        "maps": Flag("", "grad_cam or another method of attribution: also show what the network read in some cells"),
        "decide_anyway": Flag(False, "decide cells also by a network at chance or with a shortcut"),
    },
)

SWEEP = Command(
    help="Train all runs of a study and show its table.",
    flags={
        "config": Flag(None, "Python file with get_config() and sweep(), e.g. experiments/channels.py"),
        "data": Flag(None, "folder that prepare wrote"),
        "workdir": Flag(None, "folder of the study"),
        "list": Flag(False, "show the runs and how far they are; train nothing"),
        "index": Flag("all", "train this one run alone, by its number in --list, and score nothing"),
        "final": Flag(False, "score on the locked test split, and log in each run that it was opened"),
        "workers": Flag(
            0,
            "processes that train runs side by side on a CPU; 0: one for each core. With 1, and on an accelerator, "
            "runs that may be one program are one",
        ),
        "require_accelerator": REQUIRE_ACCELERATOR,
    },
)

WHOLE_WAY = Command(
    help="All of it for your own fields: prepare, train, evaluate, explain, discover, report; resumes where it "
    "stopped.",
    config=base.preparation,
    flags={
        **FIELDS,
        "training": Flag("configs/default.py", "Python file with the training config"),
    },
)

DEMO = Command(
    help="The whole way on simulated fields: simulate, prepare, train, evaluate, explain, discover, report.",
    flags={
        "out": Flag("runs/demo", "folder to write"),
        "overwrite": Flag(False, "replace an earlier demo"),
    },
)

# In the order in which --help lists them.
COMMANDS = {
    "simulate": SIMULATE,
    "prepare": PREPARE,
    "train": TRAIN,
    "evaluate": EVALUATE,
    "explain": EXPLAIN,
    "discover": DISCOVER,
    "unnamed": UNNAMED,
    "counterfactual": COUNTERFACTUAL,
    "report": REPORT,
    "predict": PREDICT,
    "sweep": SWEEP,
    "run": WHOLE_WAY,
    "demo": DEMO,
}
