"""What a vector file says of itself: operation, rounding, environment, fields, where its operands come from."""

from __future__ import annotations

from dataclasses import dataclass, field

from halfsim.environment import IEEE, Environment
from halfsim.rounding import Rounding, RoundingLike
from halfsim.testvectors.formats.flags import flag_order
from halfsim.testvectors.formats.headerlines import HeaderError, HeaderLines, whole_number
from halfsim.testvectors.formats.names import environment_name, environment_of, rounding_name, rounding_of, type_width
from halfsim.testvectors.formats.rows import Field

__all__ = ["FLOATS", "Header", "HeaderError"]

FLOATS = ("f16", "f32", "f64", "bf16", "tf32", "e5m2", "e4m3")
_OPERANDS = "ABCD"
_NAN_RULES = ("exact", "any")
_SEED_DIGITS = 1000
_KEYS = (
    "operation", "operands", "result", "rounding", "environment", "options", "fields", "flags", "nan", "families",
    "seed", "rows",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the rows of a file are.

    Parameters
    ----------
    operation : str
        Name of the operation, a `Subject`'s.
    operands : tuple of str
        Types of the operands, keys of `TYPES`.
    result : str
        Type of the result.
    rounding : Rounding, Stochastic or str
        Rounding direction; row i of a stochastic one takes the random word of element i.
    environment : Environment
        NaN rule, tininess and flushing.
    options : tuple of str
        Further keywords of the operation that are set: ``"exact"``, ``"saturate"``.
    flag_order : str
        Name of the order of the flags, one of `FLAG_ORDERS`.
    nan : str
        ``"exact"``: NaN results are compared bit for bit. ``"any"``: any quiet NaN will do, and a column of masks says
        which bits count.
    rows : int
        Number of rows, -1 if unknown.
    seed : int or None
        Seed of the random operands.
    families : tuple of str
        Families of operands.
    version : str
        Version of halfsim that wrote the file; empty for other writers.
    testfloat : str
        TestFloat's name of the operation, empty where it has none; for readers alone, and no part of equality.

    Raises
    ------
    ValueError
        If a type, the order of the flags, the rounding or the NaN rule is unknown.

    Examples
    --------
    >>> from halfsim.testvectors.formats import Header
    >>> header = Header(operation="add", operands=("f16", "f16"), result="f16", rounding="rne", rows=3)
    >>> header.names
    ('A', 'B', 'Z', 'FF')
    """

    operation: str
    operands: tuple[str, ...]
    result: str
    rounding: RoundingLike = Rounding.roundTiesToEven
    environment: Environment = IEEE
    options: tuple[str, ...] = ()
    flag_order: str = "testfloat"
    nan: str = "exact"
    rows: int = -1
    seed: int | None = None
    families: tuple[str, ...] = ()
    version: str = ""
    testfloat: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name in (*self.operands, self.result):
            type_width(name)
        flag_order(self.flag_order)
        if isinstance(self.rounding, str):
            object.__setattr__(self, "rounding", rounding_of(self.rounding, "Header"))
        if self.nan not in _NAN_RULES:
            raise ValueError(f"Header: nan={self.nan!r} is unknown; known are {', '.join(_NAN_RULES)}")

    @property
    def masked(self) -> bool:
        """Whether rows have a column of masks."""
        return self.nan == "any" and self.result in FLOATS

    @property
    def fields(self) -> tuple[Field, ...]:
        """Columns: operands, result, mask where there is one, flags."""
        types = [*zip(_OPERANDS, self.operands, strict=False), ("Z", self.result)]
        if self.masked:
            types.append(("M", self.result))
        return (*(Field(name, (type_width(of) + 3) // 4) for name, of in types), Field("FF", 2))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(item.name for item in self.fields)

    def lines(self) -> list[str]:
        """Return the header as ``key: value`` lines."""
        described = {
            "operation": self.operation + (f" ({self.testfloat})" if self.testfloat else ""),
            "operands": " ".join(self.operands),
            "result": self.result,
            "rounding": rounding_name(self.rounding),
            "environment": environment_name(self.environment),
            "options": " ".join(self.options),
            "fields": "_".join(self.names),
            "flags": f"{self.flag_order} ({flag_order(self.flag_order).description})",
            "nan": self.nan + (" (bits that are 0 in M do not count)" if self.masked else ""),
            "families": " ".join(self.families),
            "seed": "" if self.seed is None else str(self.seed),
            "rows": str(self.rows),
        }
        first = f"halfsim {self.version} test vectors" if self.version else "test vectors"
        return [first, *(f"{key}: {value}" for key, value in described.items() if value)]

    @classmethod
    def from_lines(cls, lines: list[str], function: str = "read") -> Header | None:
        """Return the header that `lines` made, or None if they hold none.

        Parameters
        ----------
        lines : list of str
            ``KEY: VALUE`` each, in the order of the file.
        function : str
            What messages begin with.

        Raises
        ------
        HeaderError
            If a key or a value is unknown, a key is there twice, or one that is needed is missing.
        """
        tiles = [number for number, line in enumerate(lines, 1) if line.startswith("accumulator:")]
        if tiles:
            raise HeaderError(f"{function}: these are tiles of a matrix product; give their file by its path", tiles[0])
        found = HeaderLines(lines, _KEYS, "operation")
        if not found:
            return None
        found.need("operands", "result", "rounding", "environment")
        header = cls(
            operation=found.read("operation", _first),
            operands=found.read("operands", _types),
            result=found.read("result", _type),
            rounding=found.read("rounding", lambda text: rounding_of(text, function)),
            environment=found.read("environment", lambda text: environment_of(text, function)),
            options=found.read("options", _words, ()),
            flag_order=found.read("flags", lambda text: flag_order(_first(text)).name, "testfloat"),
            nan=found.read("nan", _nan_rule, "exact"),
            rows=found.read("rows", whole_number("rows"), -1),
            seed=found.read("seed", whole_number("seed", _SEED_DIGITS, 0)) if "seed" in found else None,
            families=found.read("families", _words, ()),
            version=_version(lines),
        )
        if "fields" in found:
            found.read("fields", header.check_fields)
        if header.version and header.rows < 0:
            problem = f"{function}: the header lacks the number of rows; it may be damaged"
            raise HeaderError(problem, found.line("rows") if "rows" in found else 0)
        return header

    def check_fields(self, text: str) -> None:
        """Refuse other columns than those of the header, or the same in another order.

        Parameters
        ----------
        text : str
            Names of the columns joined by ``_``, as a file has them.

        Raises
        ------
        ValueError
            If they are others; the message has the right ones.
        """
        if text != "_".join(self.names):
            raise ValueError(f"the fields are {text}; give them as {'_'.join(self.names)}")


def _first(text: str) -> str:
    return text.split()[0]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _type(text: str) -> str:
    type_width(text)
    return text


def _types(text: str) -> tuple[str, ...]:
    kinds = _words(text)
    if len(kinds) > len(_OPERANDS):
        raise ValueError(f"the header gives {len(kinds)} operands; no operation has more than {len(_OPERANDS)}")
    return tuple(_type(kind) for kind in kinds)


def _nan_rule(text: str) -> str:
    if _first(text) not in _NAN_RULES:
        raise ValueError(f"nan={_first(text)!r} is unknown; known are {', '.join(_NAN_RULES)}")
    return _first(text)


def _version(lines: list[str]) -> str:
    first = lines[0].split()
    return first[1] if len(first) > 1 and first[0] == "halfsim" else ""
