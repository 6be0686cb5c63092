"""Every config field there is, with its default, unit and meaning. The other config files only change some.

Three configs, one per kind of work: `simulation()` for fields with a known answer, `preparation()` for fields to data
set, `training()` for data set to report. All are locked: a mistyped field name fails at once.
"""

from configs.old_fields import Config


def simulation() -> Config:
    """Fields with a known answer (`launch.py simulate`)."""
    c = Config()
    c.seed = 0  # of everything drawn
    c.lines = ("HeLa", "RPE1", "NIH3T3")  # cell lines to draw; looks of each: data_prep/simulation/lines.py
    c.fields_per_line = 40  # fields of each line, on one plate per line
    c.field_size_px = 512  # height and width of a field
    c.pixel_um = 0.5  # um per px, written to the OME metadata
    c.cells_per_field = (30, 60)  # lowest and highest number of cells in a field: confluence differs between fields
    c.workers = 0  # parallel processes; 0: one per core

    # How far each cue moves from an average G1 to an average G2 cell. 0 removes the cue.
    c.effects = Config()
    c.effects.dna_content = 1.0  # fraction by which DNA grows over S: 1 doubles it
    c.effects.nuclear_area = 0.40  # fraction by which nuclear area grows over the cycle
    c.effects.golgi_area = 0.9  # fraction by which Golgi area grows
    c.effects.golgi_scatter = 1.0  # fraction by which the Golgi's objects spread out
    c.effects.plus_end_density = 0.8  # fraction by which microtubule plus ends per um^2 grow
    c.effects.marker = 12.0  # fold rise of the CENP-F-like marker, minus 1

    # Cell-to-cell spread of each cue: standard deviation of its natural log.
    c.spread = Config()
    c.spread.dna_content = 0.05  # sd of ln
    c.spread.nuclear_area = 0.13  # sd of ln
    c.spread.golgi_area = 0.18  # sd of ln
    c.spread.golgi_scatter = 0.18  # sd of ln
    c.spread.plus_end_density = 0.16  # sd of ln
    c.spread.marker = 0.35  # sd of ln

    # What differs between cells and fields and has nothing to do with age.
    c.nuisance = Config()
    c.nuisance.stain_cell = 0.18  # sd of log staining strength from cell to cell, per channel
    c.nuisance.stain_field = 0.20  # sd of log staining strength from field to field, per channel
    c.nuisance.illumination = 0.25  # fall of the light from the brightest point of the field to its corner, fraction
    c.nuisance.blur_um = (0.15, 0.5)  # range of the Gaussian blur (sigma) of a field, um
    c.nuisance.photons = 400.0  # photons per px at full staining; sets the Poisson noise
    c.nuisance.read_noise = 2.0  # sd of the camera's read noise, photons
    c.nuisance.debris = 4.0  # mean number of debris specks per field
    c.nuisance.touching = 0.3  # share of cells placed so that their nucleus touches another
    c.nuisance.mitotic = 0.04  # share of cells in mitosis
    return c.lock()


def preparation() -> Config:
    """Fields to data set (`launch.py prepare`)."""
    c = Config()
    c.source = "folder"  # file in data_prep/sources/ that knows where fields, names and labels are, or package.module of your own
    c.name_pattern = ""  # regular expression over the path inside the folder, groups: line label plate well site time channel z; "": one file per field
    c.channel_codes = ()  # texts "code=name" for what group channel matches, others are left out; (): the codes are the names
    c.channel_names = ()  # of files that hold several channels: a name for each in order, or texts "old=new" that rename some; they go before what the files say. (): the files' own
    c.pixel_um = 0.0  # um per px where the files do not say; 0: unknown, lengths are then in px
    c.cell_line = ""  # cell line where the files do not say
    c.projection = "max"  # of z planes: 'max', 'mean', 'focus' (the sharpest plane)
    c.rgb = ()  # channels that red, green and blue of a colour picture show, "" for none: ("DNA", "Golgi", ""); (): refused
    c.sidecar = ""  # table (CSV) with what names do not say, relative to the folder of fields; "": none
    c.labels_folder = ""  # folder of label images made elsewhere, relative to the folder of fields; "": none
    c.workers = 0  # parallel processes; 0: one per core
    c.scheduler = ""  # address of a Dask scheduler, e.g. tcp://host:8786, whose workers see the same folders; "": this machine
    c.max_fields = 0  # use only the first fields; 0: all

    c.channels = Config()
    c.channels.nucleus = "DNA"  # channel in which nuclei are found
    c.channels.stains = ()  # channels whose objects around the nucleus are measured (Golgi, plus ends); the first is crop mask bit 4
    c.channels.markers = ()  # channels that label the cells and are never shown to a model

    c.illumination = "surface"  # 'surface': second-order surface through the mean of a plate's fields; 'none'

    c.segmentation = Config()
    c.segmentation.method = "watershed"  # a name in data_prep.segmentation.segment.SEGMENTERS, or package.module:function of your own
    c.segmentation.nucleus_diameter = 0.0  # typical diameter, um (px where the pixel size is unknown); 0: measured per field

    c.measurements = ()  # further measured features: texts package.module:function; the others are in data_prep/measurement/

    c.reference = Config()  # what one unit of intensity is
    c.reference.by = "field"  # whose cells it is taken from: 'field'; 'plate' where a field holds one class only
    c.reference.nucleus = "g1_peak"  # nuclear channel: 'g1_peak' of integrated DNA; 'median' cell where it shows no DNA

    c.quality = Config()  # an object outside any bound is kept in the table, with the reason, and not used
    c.quality.min_area = 0.4  # lowest area, relative to the plate's median nucleus
    c.quality.max_area = 3.0  # highest area, relative to the plate's median nucleus
    c.quality.min_solidity = 0.90  # area over convex area; lower is ragged
    c.quality.min_focus = 0.35  # edge sharpness relative to the plate's median; lower is out of focus
    c.quality.max_saturated = 0.01  # share of saturated pixels
    c.quality.mitotic_brightness = 2.0  # mean DNA intensity relative to the field's median nucleus; brighter is condensed

    c.crop = Config()
    c.crop.size_px = 64  # height and width of a crop
    c.crop.um_per_px = 0.5  # scale of all crops; 0: crops keep the field's pixels
    c.crop.assumed_um_per_px = 0.0  # um per px of fields whose pixel size is unknown; 0: such that the median nucleus is 16 um across; -1: crops keep the field's pixels, 0.5 um for bodies
    c.crop.cell_margin_um = 8.0  # the cell's body: this far around the nucleus, um

    c.labels = Config()  # where the class of each cell comes from
    c.labels.method = "marker"  # a name in data_prep.labelling.methods.METHODS: marker, two_markers, dna_content, column, folder, none; or package.module:function of your own
    c.labels.classes = ("G1/S", "G2")  # low first, high last
    c.labels.abstain = 0.05  # marker, two_markers: abstain where the posterior of the likelier class is below 1 minus this
    c.labels.one_hump = "abstain"  # marker, two_markers: a plate whose marker shows no two humps is not labelled; "label": it is, with a doubt that evaluate and explain repeat
    c.labels.low_range = (0.8, 1.2)  # dna_content: range of the first class, relative to the field's G1 peak
    c.labels.high_range = (1.75, 2.3)  # dna_content: range of the second class
    c.labels.min_cells = 40  # dna_content: a field with fewer usable nuclei has no trustworthy G1 peak and no labels

    c.labels.table = ""  # CSV or Parquet whose columns join the cells, by cell id, place, field, well or plate; "": none
    c.labels.column = ""  # column: the one of the sidecar or of that table that says the class
    c.labels.mapping = ()  # column, folder: "value=class" for values that are no class names; of others there is no label

    c.split = Config()
    c.split.by = "field"  # unit that is never divided between splits: field, well, plate, cell_line, track, block
    c.split.fractions = (0.6, 0.15, 0.25)  # train, validation, test; drawn within each cell line
    c.split.seed = 0  # of the shuffle of the groups
    c.split.column = ""  # column of the source, the sidecar or labels.table that names the split of a group; "": all drawn
    return c.lock()


def training() -> Config:
    """Data set to report (`launch.py train`, and what evaluate, explain, discover and report do with the run)."""
    c = Config()
    c.seed = 0  # of parameters, order of cells, augmentation and dropout

    c.data = Config()
    c.data.channels = ()  # channels the model sees, by name; (): all but the markers
    c.data.cell_lines = ()  # lines to train on and score; (): all
    c.data.mask = "cell"  # 'cell': everything outside the own cell's body is zero; 'nucleus': outside the own nucleus; 'none'; 'ring': a control, what lies farthest from the cell
    c.data.scale = "reference"  # 'reference': (pixel - background) / the field's reference; 'nucleus_max': / the brightest px of the own nucleus; 'spread': / the spread of the field's pixels
    c.data.labels = "original"  # 'original'; 'permuted': a control, labels shuffled among the cells of each split, so that there is nothing to learn
    c.data.placement = "auto"  # where the crops lie while training: 'device', 'host' (memory), 'disk'; 'auto': the fastest that has room (docs/training.md). The result is the same

    c.model = Config()
    c.model.name = "resnet"  # a name in cellcycle_jax.models.MODELS, or package.module:Class of your own
    c.model.options = ()  # further fields of the model's class, texts "field=value"
    c.model.filters = 16  # channels of the first convolution, doubled from stage to stage
    c.model.depth = 2  # stages after the first
    c.model.dropout = 0.3  # share of units dropped before the last layer
    c.model.dtype = "float32"  # what the network computes in: 'float32'; 'bfloat16': faster on accelerators, weights stay float32; 'float64': for checks

    c.augment = Config()
    c.augment.flip = True  # random quarter turns and mirror images
    c.augment.rotate_deg = 20.0  # rotation drawn from -this..this
    c.augment.shift = 0.05  # shift drawn from -this..this, fraction of the crop
    c.augment.scale = 0.0  # zoom drawn from 1-this..1+this; 0: size of the cell is information
    c.augment.intensity = 0.1  # sd of the log gain, per cell and channel

    c.optimizer = Config()
    c.optimizer.name = "adamw"  # adamw, rmsprop, sgd
    c.optimizer.learning_rate = 4e-3  # highest rate; warm-up over 5 % of the steps, then a cosine to zero
    c.optimizer.weight_decay = 1e-3  # on kernels only, not on biases and norms
    c.optimizer.schedule = "cosine"  # cosine, constant

    c.train = Config()
    c.train.batch_size = 32  # cells per step, over all devices
    c.train.steps = 2000  # most steps
    c.train.eval_every = 100  # steps between scores on the validation split
    c.train.kept_weights = "last"  # 'last': those after the last step, which no cell of validation chose; 'best': those of the lowest validation loss, which makes scores on validation too good
    c.train.patience = 0  # with 'best': scores without a better validation loss before stopping; 0: never stop early
    c.train.balance_classes = True  # weigh classes by their inverse frequency in the training split
    c.train.checkpoint_every = 300  # steps between checkpoints to resume from
    c.train.wandb = "off"  # off, offline, online

    c.evaluate = Config()
    c.evaluate.interval_level = 0.95  # of the intervals

    c.predict = Config()
    c.predict.min_confidence = 0.8  # calibrated probability of the likeliest class below which predict abstains
    c.predict.note = ""  # said with every prediction, e.g. what the cells of training were; simulated fields say so themselves

    c.explain = Config()
    c.explain.tap = "last"  # activation that Grad-CAM reads: a tap of the model, or 'last' convolution
    c.explain.cells_per_class = 200  # validation cells explained per class
    c.explain.limits = Config()  # all limits that decide what a passport says, which stores those it used
    c.explain.limits.surroundings = 0.1  # share of the difference between classes that goes with them, from which a shortcut
    c.explain.limits.brightness = 0.3  # the same of the field's; fields differ in their cells too, so less is known of it
    c.explain.limits.shortcut_interval_level = 0.99  # of the intervals of both: several properties are tested
    c.explain.limits.batch_auroc = 0.6  # area under the ROC curve from which plate, well or line predict the class
    c.explain.limits.map_correlation = 0.5  # strength from which a map counts as that of other weights or labels
    c.explain.limits.trivial_correlation = 0.5  # the same for maps that need no network
    c.explain.limits.edit_slope = 0.1  # logits per +10 % from which an edit moves the prediction; editing does by hundredths
    c.explain.limits.region_share = 0.1  # of the difference between classes, from which a region is named
    c.explain.limits.explained_r2 = 0.1  # R2 from which measurements explain the prediction
    c.explain.limits.unnamed_share = 0.1  # of the difference between classes, from which a part of it has no name
    c.explain.limits.small_gap = 0.05  # between R2 of the named and of all measurements: no more is as good as none

    c.discover = Config()
    c.discover.n_candidates = 12  # best single features that form pairs
    return c.lock()
