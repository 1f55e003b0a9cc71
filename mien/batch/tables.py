"""Tables as files: CSV, Parquet and JSON Lines, written row by row, so that memory does not grow with their length."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mien.errors import MienError
from mien.recording.rows import as_typed, csv_writer
from mien.results import COLUMNS
from mien.types import BOX

FORMATS = ("csv", "parquet", "jsonl")

Row = Mapping[str, Any]

DECIMALS = {"time_s": 6, "timestamp": 6, "onset": 6, "duration": 6}
"""Of times, in seconds; other numbers with a fraction have 5."""

WHOLE = {"frame", "success", "face", *BOX, "changes", "frames"}
TRUTHS = {"unsure", "blink", "excluded"}
TEXTS = {"input", "label", "reason", "quality_reason", "found_by", "trial_type", "expression", "marker", "person"}
"""Columns that hold whole numbers, yes or no, and text; all others hold numbers with a fraction."""

CHUNK_ROWS = 4096


class Table(Protocol):
    """A table that is being written.

    Example:
        with closing(open_table(Path("faces.csv"), COLUMNS)) as table:
            table.add(result.rows())
    """

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows; values that a row does not have are left empty."""

    def close(self, metadata: str = "") -> None:
        """Write what is left and close the file.

        Args:
            metadata: Stored in a Parquet file under the key "mien"; the other formats have no place for it.
        """


def open_table(path: Path, columns: Sequence[str] = COLUMNS) -> Table:
    """Create a table; the format follows from the suffix of the file, one of FORMATS.

    Args:
        path: The file; an older one is replaced.
        columns: Names of the columns, in their order.

    Raises:
        MienError: The package pyarrow is needed and not installed.
        OSError: The file cannot be written.
    """
    if path.suffix == ".parquet":
        return ParquetTable(path, columns)
    return JsonTable(path, columns) if path.suffix == ".jsonl" else CsvTable(path, columns)


def check_format(name: str) -> None:
    """Check that tables of a format can be written. Raises MienError if a package is missing."""
    if name == "parquet":
        _pyarrow()


class CsvTable:
    """A table as CSV: UTF-8, commas, lines end with a line feed; yes and no are 1 and 0, nothing is empty."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = columns
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv_writer(self._file)
        self._writer.writerow(columns)

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        self._writer.writerows([as_typed(name, as_text(name, row.get(name))) for name in self._columns] for row in rows)

    def close(self, metadata: str = "") -> None:
        """Close the file."""
        self._file.close()


class JsonTable:
    """A table as JSON Lines: an object per row, with null where a value is missing."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = columns
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        for row in rows:
            line = json.dumps({name: row.get(name) for name in self._columns}, ensure_ascii=False, allow_nan=False)
            self._file.write(line + "\n")

    def close(self, metadata: str = "") -> None:
        """Close the file."""
        self._file.close()


class ParquetTable:
    """A table as Parquet, with a row group for each CHUNK_ROWS rows."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._arrow, parquet = _pyarrow()
        self._schema = self._arrow.schema([(name, self._type(name)) for name in columns])
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        self._rows += [{name: row.get(name) for name in self._schema.names} for row in rows]
        if len(self._rows) >= CHUNK_ROWS:
            self._write()

    def close(self, metadata: str = "") -> None:
        """Write the rest, the metadata and the end of the file."""
        if self._rows:
            self._write()
        if metadata:
            self._writer.add_key_value_metadata({"mien": metadata})
        self._writer.close()

    def _write(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def _type(self, name: str) -> Any:
        arrow = self._arrow
        if name in TEXTS:
            return arrow.string()
        if name in TRUTHS:
            return arrow.bool_()
        return arrow.int64() if name in WHOLE else arrow.float64()


def as_text(column: str, value: Any) -> str:
    """A value as text for CSV, with a fixed number of decimals.

    Args:
        column: Name of its column.
        value: Text, a number, True or False; None is empty.
    """
    if value is None:
        return ""
    if isinstance(value, bool | int):
        return str(int(value))
    return f"{value:.{DECIMALS.get(column, 5)}f}" if isinstance(value, float) else str(value)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MienError(
            "--format parquet: expected the package pyarrow, found none; "
            "pip install -r requirements-batch.txt installs it"
        ) from error
    return pyarrow, pyarrow.parquet
