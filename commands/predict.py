"""`launch.py predict`: a trained network applied to new fields."""

import pathlib

from cellcycle_jax.dataset.crop_arrays import is_data_set
from cellcycle_jax.devices import mesh, runtime
from cellcycle_jax.errors import EXIT_QUARANTINED, UsageError
from cellcycle_jax.explain import new_cells
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.locks import lock
from cellcycle_jax.prediction import field_alarms, prediction_summary
from cellcycle_jax.prediction.predict import predict_cells
from cellcycle_jax.prediction.predictor import Predictor, load_predictor
from commands.folders import beside_launch, existing_folder, new_folder
from commands.messages import say, say_what_was_excluded
from configs import base
from data_prep import new_fields
from data_prep.pictures import overlay


def run_command(arguments) -> int:
    """Apply a trained run to new fields; returns EXIT_QUARANTINED where files were excluded, else 0."""
    runtime.prepare()
    mesh.require_device()
    if arguments.maps and arguments.maps not in methods.METHODS:  # said before the work begins
        raise UsageError(f"--maps={arguments.maps}: no such method; one of {', '.join(methods.METHODS)}")
    code = predict_fields(
        load_predictor(existing_folder("--workdir", beside_launch(arguments.workdir))),
        existing_folder("--fields", arguments.fields),
        new_folder(arguments.out),
        arguments.config,
        arguments.changed,
        arguments.overwrite,
        arguments.decide_anyway,
        arguments.maps,
    )
    say(f"wrote {arguments.out}/cells.parquet, cells.csv, overlays, predict.json")
    if arguments.maps:
        say(f"wrote {arguments.out}/{new_cells.FOLDER}: what the network read in some cells of each class")
    if code:
        say_what_was_excluded("predict", f"{arguments.out}/predict.json")
    return code


def predict_fields(
    predictor: Predictor,
    fields_dir,
    out,
    config,
    changed=(),
    overwrite: bool = False,
    decide_anyway: bool = False,
    maps: str = "",
) -> int:
    """Find, cut out and judge the cells of new fields; writes OUT/cells.parquet, cells.csv, overlays, predict.json.

    Args:
        predictor: `predictor.load_predictor` of a run.
        fields_dir: folder with the fields.
        out: folder to write, which is there.
        config: a preparation config, of which the fields that say how new fields are stored are used.
        changed: names of the config fields that the user changed.
        overwrite: replace finished predictions.
        decide_anyway: decide cells also by a network at chance or with a shortcut.
        maps: method of attribution by which some cells are explained, see `new_cells.explain`; "": none.

    Returns:
        0, or EXIT_QUARANTINED where some files were excluded.

    Raises:
        UsageError: `out` holds a data set or finished predictions, or a changed field is one of training.
        InputRefused: the fields cannot be used; as of `data_prep.fields_to_cells.all_fields.process_fields`.
    """
    out = pathlib.Path(out)
    trained = predictor.preparation["config"]
    reading = new_fields.reading_config(trained, config, changed)
    new_fields.say_what_is_not_read(trained, config, base.preparation())
    withhold = predictor.verdict.withhold and not decide_anyway
    with lock(out / ".lock"):
        _require_free(out, overwrite)
        fields = new_fields.extract(reading, fields_dir, out, predictor.channels)
        table = new_fields.table_of(fields)
        cells = predict_cells(predictor, table, fields.preprocessing.crops, fields.preprocessing.channels, withhold)
        alarms = field_alarms.judge_fields(predictor.fields, cells, fields.fields())
        _remove_predictions(out)
        overlay.draw_all(cells, fields, predictor.classes, alarms, out / "overlays")
        pictures = new_fields.pictures_of(fields)
        if maps:
            made = fields.preprocessing
            new_cells.explain(predictor, cells, made.crops, made.channels, maps, out / new_cells.FOLDER)
        summary = prediction_summary.summarise(predictor, cells, alarms, fields.fields(), pictures)
        summary["quarantined"] = fields.quarantined
        summary["light_not_estimated"] = fields.light_not_estimated
        prediction_summary.write_predictions(cells, summary, out)
        fields.discard()
    prediction_summary.print_summary(summary)
    return EXIT_QUARANTINED if fields.quarantined else 0


def _require_free(out, overwrite) -> None:
    if is_data_set(out):
        raise UsageError(f"--out={out} holds a data set; name another folder")
    if (out / "predict.json").exists() and not overwrite:
        raise UsageError(f"--out={out} holds finished predictions; name another folder or give --overwrite")


def _remove_predictions(out) -> None:
    """Remove what marks finished predictions, and their overlays, as those of other fields would stay."""
    if (out / "predict.json").exists():
        (out / "predict.json").unlink()
        for picture in out.glob("overlays/*.png"):
            picture.unlink()
        new_cells.remove(out / new_cells.FOLDER)
