"""Tables of measured values, the one source of what stands in Markdown and of what stands in JSON."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Table:
    """Several ways to do the same, one quantity of each, measured once a round.

    Attributes:
        title: what is done; equal from run to run, since two files are compared by it.
        unit: of the values, e.g. 'crops/s'.
        values: {way: one value a round}, in the order of the rows.
        larger_is_better: else smaller is.
        reference: the way that the others are held against; by default the first that ran.
        devices: {way: what it ran on}.
        columns: {head: {way: text}}, further columns of the Markdown.
        left_out: {way: why it gave no values}.
        note: what else was found, for the Markdown; here numbers that change from run to run may stand.
    """

    title: str
    unit: str
    values: dict[str, list[float]]
    larger_is_better: bool = True
    reference: str = ""
    devices: dict[str, str] = dataclasses.field(default_factory=dict)
    columns: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    note: str = ""

    @property
    def held_against(self) -> str:
        """The reference, or the first way where that gave no values; '' where none did."""
        if self.reference in self.values:
            return self.reference
        return next(iter(self.values), "")

    def ratios(self, way: str, other: str) -> np.ndarray:
        """How many times as good `way` was as `other` in each round, f64 [rounds]; twice as fast is 2.

        Where they have different numbers of rounds, those of `way` beside the median of the other's.
        """
        return ratios(self.values[way], self.values[other], self.larger_is_better)

    def markdown(self) -> str:
        """Title, table, and what was left out."""
        parts = [self.title]
        if self.note:
            parts.append(self.note)
        if self.values:
            parts.append(markdown_table(self._head(), self._rows()))
        parts += left_out_lines(self.left_out)
        return "\n\n".join(parts)

    def _head(self):
        head = ["way"]
        if self.devices:
            head.append("on")
        head += [self.unit, "over the rounds", f"times as fast as {self.held_against}", "over the rounds"]
        return head + list(self.columns)

    def _rows(self):
        rows = []
        for way, values in self.values.items():
            row = [way]
            if self.devices:
                row.append(self.devices.get(way, ""))
            row += [shown(np.median(values)), shown_range(values)]
            ratios = self.ratios(way, self.held_against)
            row += [f"{np.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]
            row += [texts.get(way, "") for texts in self.columns.values()]
            rows.append(row)
        return rows

    def records(self) -> list[dict]:
        """What stands in JSON, see `results.document`."""
        return [_record(self.title, self.unit, self.larger_is_better, False, self.held_against, self.values,
                        self.devices, self.left_out)]


@dataclasses.dataclass(frozen=True)
class Measure:
    """A quantity of a `Grid`.

    Attributes:
        name: head of its column.
        unit: of its values; '' for a plain number.
        larger_is_better: None where neither is: a number that only describes.
        exact: whether the same program gives the same value again, as a score or a count; else it is measured.
        form: how it is written in Markdown, a format of Python; '' for that of `shown`.
    """

    name: str
    unit: str = ""
    larger_is_better: bool | None = None
    exact: bool = True
    form: str = ""

    def written(self, value) -> str:
        """A value, or the median of several and their range."""
        values = np.atleast_1d(value)
        median = self._one(np.median(values))
        if len(values) == 1:
            return median
        return f"{median} ({self._one(min(values))} to {self._one(max(values))})"

    def _one(self, value):
        return format(value, self.form) if self.form else shown(value)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Several quantities of each row, each measured once or once a round.

    Attributes:
        title: as of `Table`; '' where the section says it all.
        heads: of the columns that name a row.
        measures: of the columns with values.
        rows: {names of a row: {measure: value or one value a round}}; a measure may be missing.
        texts: {head: {names of a row: text}}, further columns of the Markdown.
        note: as of `Table`.
    """

    title: str
    heads: tuple[str, ...]
    measures: tuple[Measure, ...]
    rows: dict[tuple[str, ...], dict]
    texts: dict[str, dict] = dataclasses.field(default_factory=dict)
    note: str = ""

    def markdown(self) -> str:
        """Title and table."""
        head = [*self.heads, *(measure.name for measure in self.measures), *self.texts]
        lines = []
        for names, values in self.rows.items():
            line = list(names)
            for measure in self.measures:
                value = values.get(measure.name)
                line.append("" if value is None else measure.written(value))
            lines.append(line + [texts.get(names, "") for texts in self.texts.values()])
        return "\n\n".join(part for part in (self.title, self.note, markdown_table(head, lines)) if part)

    def records(self) -> list[dict]:
        """A record for each measure, as of `Table`."""
        records = []
        for measure in self.measures:
            values = {}
            for names, row in self.rows.items():
                if measure.name in row:
                    values[", ".join(names)] = np.atleast_1d(row[measure.name]).tolist()
            title = f"{self.title}: {measure.name}" if self.title else measure.name
            records.append(_record(title, measure.unit, measure.larger_is_better, measure.exact, "", values, {}, {}))
        return records


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph between tables; it does not stand in JSON."""

    text: str

    def markdown(self) -> str:
        """The paragraph."""
        return self.text

    def records(self) -> list[dict]:
        """None."""
        return []


def of_workers(title, unit, results, **others) -> Table:
    """The table of what `workers.compare` returned; `others` are arguments of `Table`."""
    devices = {way: results.info[way].get("device", "") for way in results.rates}
    ready = {way: f"{seconds:.1f}" for way, seconds in results.ready_s.items()}
    columns = others.pop("columns", {}) | {"s to ready": ready}
    return Table(title, unit, results.rates, devices=devices, columns=columns, left_out=results.left_out, **others)


def ratios(values, others, larger_is_better: bool) -> np.ndarray:
    """As `Table.ratios`, of two lists of values."""
    values = np.array(values, float)
    others = np.array(others, float)
    if len(values) != len(others):
        others = np.median(others)
    return values / others if larger_is_better else others / values


def markdown_table(head, rows) -> str:
    """A Markdown table without a line end."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def left_out_lines(left_out: dict[str, str]) -> list[str]:
    """A line for each way that gave no values, as one paragraph; [] where there is none."""
    lines = [f"Left out: {way} ({reason})." for way, reason in left_out.items()]
    return ["\n".join(lines)] if lines else []


def shown(value: float) -> str:
    """A value with three digits, or with all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def shown_range(values) -> str:
    """The smallest and the largest of some values."""
    return f"{shown(min(values))} to {shown(max(values))}"


def _record(title, unit, larger_is_better, exact, reference, values, devices, left_out):
    ways = []
    for way, of_rounds in values.items():
        of_rounds = [float(value) for value in of_rounds]
        median = float(np.median(of_rounds))
        ways.append({"way": way, "on": devices.get(way, ""), "values": of_rounds, "median": median})
    return {
        "title": title,
        "unit": unit,
        "larger_is_better": larger_is_better,
        "exact": exact,
        "reference": reference,
        "ways": ways,
        "left_out": left_out,
    }
