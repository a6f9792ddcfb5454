"""The data that a version names: fetched from registered sources alone, held against its digest, profiled."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

from muster.certification import checks
from muster.certification.at_hand import Profiled
from muster.certification.records import Figure
from muster.packaging.documents import DataSource
from muster.profiles.columns import SHARES
from muster.profiles.whole import profile_bytes, profile_of
from muster.training.addresses import BUNDLE, SOURCE, Place, checked_parts, place_of
from muster.training.errors import DataNotFound, DataUnreadable
from muster.training.fetching import Fetched, fetch
from muster.training.reading import DataFile, opened, profiled_columns
from muster.vocabulary.digests import digest_of_file
from muster.vocabulary.errors import MusterError
from muster.wire.evidence import Cell, Exhibit, Grid
from muster.wire.profiles import FieldProfile, TableProfile

#: What the data that a model was trained on is called.
TRAINING = ("training", "train")
#: What data is called that it was judged on.
HELD_OUT = ("test", "testing", "validation", "evaluation", "holdout", "held-out")
#: Among the figures: how many references there are, and how many were fetched and held against a digest that the bundle names.
REFERENCES, HELD = "references", "held_to_digest"
_DECLARED = "as declared"
_SHOWN_FIELDS = 150
_MIB = 1024 * 1024
_COLUMNS = ("data", "read from", "rows", "bytes", "digest", "problem")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What came of one reference."""

    name: str
    read_from: str
    rows: int | None = None
    size: int | None = None
    digest: str = ""
    problem: str = ""
    is_held: bool = False
    """Whether its bytes were held against a digest."""
    file: DataFile | None = None

    @property
    def row(self) -> tuple[Cell, ...]:
        """As the exhibit shows it."""
        return (self.name, self.read_from, self.rows, self.size, self.digest or None, self.problem or None)


class DataReferenced:
    """What the bundle says of its data is so, as far as the factory may look."""

    name: ClassVar[str] = "data-referenced"
    asks: ClassVar[str] = "is the data that it names where it says, unchanged?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Put the data where the reference says, with the bytes that the digest names, or save the bundle again; "
        "`muster source list` shows the sources that there are."
    )

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """How much is fetched."""

        most_mib: int = 2048
        """A larger file is not taken, MiB."""
        within_s: float = 600.0
        """How long one file may take, seconds."""

        def problems(self) -> list[str]:
            """What is wrong beyond types."""
            return [] if self.most_mib > 0 and self.within_s > 0 else ["most_mib and within_s are above 0"]

    def is_asked(self, bench: checks.Bench) -> bool:
        """Whether the bundle names data."""
        return bench.bundle is not None and bool(bench.bundle.data)

    def answer(self, bench: checks.Bench, stack: ExitStack) -> checks.Finding:  # noqa: ARG002 - nothing to end
        """How many references are not as they say, or name a source and cannot be read."""
        assert bench.bundle is not None
        if not bench.bundle.data:
            told = "its muster.toml names no [[data]], and the standard asks where its data is"
            return checks.Finding(
                passed=False, figure=0, limit=0, detail=told, remedy="Name it: `muster.save(…, data=…)`."
            )
        options = bench.given(self, self.Options)
        folder = bench.scratch / "data"
        folder.mkdir(exist_ok=True)
        found = [self._look(one, bench, folder / str(number), options) for number, one in enumerate(bench.bundle.data)]
        self._keep(found, bench)
        profile = _profiled(bench)
        wrong = [f"{one.name}: {one.problem}" for one in found if one.problem]
        declared = sum(one.read_from == _DECLARED for one in found)
        held = sum(one.is_held and not one.problem for one in found)
        detail = (
            "; ".join(wrong[:3]) or f"{len(found) - declared} of {len(found)} read, {held} of them as its digest says"
        )
        if declared:
            detail += f"; {declared} below no registered source, recorded as declared and not fetched"
        exhibits: list[Exhibit] = [
            Grid(title="Data that the bundle names", columns=_COLUMNS, rows=tuple(one.row for one in found))
        ]
        if profile is not None:
            exhibits.append(_shown(profile))
        return checks.Finding(
            passed=not wrong,
            figure=len(wrong),
            limit=0,
            detail=detail,
            figures={REFERENCES: float(len(found)), HELD: float(held)},
            exhibits=tuple(exhibits),
        )

    def _look(self, data: DataSource, bench: checks.Bench, to: Path, options: Options) -> _Looked:
        read_from = _DECLARED
        try:
            if data.uri.startswith(BUNDLE):
                read_from = "the bundle"
                name, fetched = self._in_bundle(data.uri, bench)
            else:
                read_from = data.uri.split("/", 1)[0] if data.uri.startswith(SOURCE) else _DECLARED
                place = place_of(data.uri, bench.at_hand.sources)
                if place is None:
                    return _Looked(name=data.name, read_from=_DECLARED, rows=data.rows, digest=data.digest)
                read_from = SOURCE + place.source.name
                name, fetched = place.name, self._fetched(place, bench, to, options)
        except MusterError as error:
            return _Looked(name=data.name, read_from=read_from, digest=data.digest, problem=error.message[:300])
        return _held_against(data, name, fetched, read_from)

    def _fetched(self, place: Place, bench: checks.Bench, to: Path, options: Options) -> Fetched:
        bench.say(f"{self.name}: reading {place}")
        return fetch(place, to, most_bytes=options.most_mib * _MIB, within_s=options.within_s)

    def _in_bundle(self, uri: str, bench: checks.Bench) -> tuple[str, Fetched]:
        assert bench.folder is not None
        parts = checked_parts(uri.removeprefix(BUNDLE), uri)
        path = bench.folder.joinpath(*parts)  # a bundle holds plain files alone, and was found to be as registered
        if not path.is_file():
            raise DataNotFound(f"the bundle has no file {'/'.join(parts)}", data=uri[:200])
        return parts[-1], Fetched(path=path, digest=digest_of_file(path), size=path.stat().st_size)

    def _keep(self, found: list[_Looked], bench: checks.Bench) -> None:
        """What could be read and is what it should be is there for the questions that follow."""
        read = {one.name: one.file for one in found if one.file is not None and not one.problem}
        at_hand = bench.at_hand
        at_hand.held_out = {name: file for name, file in read.items() if name.lower() in HELD_OUT}
        at_hand.training = {name: file for name, file in read.items() if name.lower() in TRAINING}
        rest = {name: file for name, file in read.items() if name.lower() not in HELD_OUT}
        if not at_hand.training and len(rest) == 1:
            at_hand.training = rest


def _held_against(data: DataSource, name: str, fetched: Fetched, read_from: str) -> _Looked:
    problems = []
    if data.digest and data.digest != fetched.digest:
        problems.append(f"its digest is {fetched.digest}, the bundle says {data.digest}")
    file = None
    try:
        file = opened(fetched.path, name)
        if data.rows is not None and data.rows != file.rows:
            problems.append(f"it has {file.rows} rows, the bundle says {data.rows}")
    except DataUnreadable as error:
        if name.endswith((".parquet", ".csv")):
            problems.append(error.message)
    return _Looked(
        name=data.name,
        read_from=read_from,
        rows=None if file is None else file.rows,
        size=fetched.size,
        digest=fetched.digest,
        problem="; ".join(problems),
        is_held=bool(data.digest),
        file=file,
    )


def _profiled(bench: checks.Bench) -> TableProfile | None:
    """The profile of the training data, left on the bench."""
    assert bench.bundle is not None
    for name, file in bench.at_hand.training.items():
        claim = bench.bundle.prediction
        label = "" if claim is None else claim.label
        profile = profile_of(file.read_rows, profiled_columns(file, bench.bundle.contract, label))
        declared: Mapping[str, str] = {one.name: one.digest for one in bench.bundle.data}
        bench.at_hand.profiled = Profiled(
            data=name, data_digest=declared.get(name) or "", document=profile_bytes(profile)
        )
        bench.say(f"data-referenced: profile of {name} made, {profile.rows} of {file.rows} rows")
        return profile
    return None


def _shown(profile: TableProfile) -> Grid:
    rows = tuple(tuple(_cells(field, profile.rows)) for field in profile.fields[:_SHOWN_FIELDS])
    title = f"Profile of the training data, {profile.rows} rows"
    return Grid(title=title, columns=("field", "type", "null", "minimum", "median", "maximum", "different"), rows=rows)


def _cells(field: FieldProfile, rows: int) -> Iterator[Cell]:
    yield field.name[:80]
    yield f"{field.datatype}{list(field.shape) if field.shape else ''}" + (", personal" if field.personal else "")
    yield f"{field.nulls / rows:.1%}" if rows else None
    yield field.minimum
    yield field.quantiles.get(f"{SHARES[3]:g}")
    yield field.maximum
    yield None if field.categories is None else field.categories.distinct
