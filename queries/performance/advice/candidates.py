"""Indexes that could help one scan: equality columns first, then the order or one range; and their variants.

Nothing here knows whether a candidate helps: the planner is asked. Generation is bounded, and its order is that of its
input's columns, never that of a set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from queries.performance.advice.catalog import Column, Table
from queries.performance.advice.conditions import Either, Term
from queries.performance.advice.index import Index, Key, covers, quoted
from queries.performance.advice.parsing import Parsed
from queries.performance.advice.scans import Scan, alias_matches, order_key

MOST_KEYS, MOST_INCLUDED, MOST_PER_SCAN = 4, 4, 40
WIDEST_INCLUDE_BYTES, WIDEST_KEY_BYTES = 96.0, 400.0
RARE_FRACTION, BRIN_CORRELATION, BRIN_ROWS = 0.25, 0.95, 100_000
_TENANT_WORDS = ("organization", "organisation", "tenant", "workspace", "org", "account", "company", "team")
# Types that have no order PostgreSQL could keep in a btree, or that are too long for one.
_UNORDERED = ("json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector", "tsquery", "xid")

Option = tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a scan wants of an index, by columns in a fixed order."""

    equal: tuple[str, ...]
    joined: tuple[str, ...]
    among: tuple[str, ...]
    ranges: tuple[str, ...]
    prefixes: tuple[str, ...]
    orders: tuple[tuple[Key, ...], ...]
    expressions: tuple[Key, ...]
    needed: tuple[str, ...]


def is_tenant_column(name: str) -> bool:
    """Whether a column names the tenant, by the words people use for one."""
    plain = name.lower().replace("_", "")
    return any(plain in (f"{word}id", word) for word in _TENANT_WORDS)


def options(scan: Scan, table: Table, parsed: Parsed, popularity: Mapping[tuple[str, str], int]) -> list[Option]:
    """Candidates for a scan, each a single index or, for OR, one for each arm; without what is there already."""
    wanted = _wanted(scan, table, parsed, popularity)
    singles = [index for keys in _key_lists(wanted, table) for index in _with_include(keys, wanted, table)]
    singles += _partial(scan, wanted, table, parsed)
    singles += _brin(wanted, table)
    fresh = [
        (one,)
        for one in _without_twins(dict.fromkeys(singles))
        if not _exists(one, table) and not is_served(one, scan, table, wanted.orders)
    ]
    return [*fresh[:MOST_PER_SCAN], *_for_either(scan, table, wanted)]


def _wanted(scan: Scan, table: Table, parsed: Parsed, popularity: Mapping[tuple[str, str], int]) -> Wanted:
    def ranked(terms: Iterable[Term], *kinds: str) -> tuple[str, ...]:
        names = {one.column for one in terms if one.kind in kinds and _is_keyable(table, one.column)}
        return tuple(sorted(names, key=lambda name: _rank(table, name, popularity)))

    own = [one for one in scan.terms if not one.is_outside]
    outside = [one for one in (*scan.terms, *scan.joins) if one.is_outside or one in scan.joins]
    equal = ranked(own, "eq", "null")
    same_column = [_one_column(either) for either in scan.either]
    among = tuple(dict.fromkeys([*ranked(own, "in"), *(name for name in same_column if name)]))
    orders = tuple(dict.fromkeys(_orders(scan, table, parsed, equal)))
    return Wanted(
        equal=equal,
        joined=tuple(name for name in ranked(outside, "eq") if name not in equal),
        among=tuple(name for name in among if name not in equal),
        ranges=ranked(own, "range"),
        prefixes=ranked(own, "prefix"),
        orders=orders,
        expressions=tuple(_expressions(own)),
        needed=tuple(sorted(scan.needed, key=lambda name: table.columns[name].number)),
    )


def _rank(table: Table, name: str, popularity: Mapping[tuple[str, str], int]) -> tuple[float, ...]:
    """The tenant first; then what more statements share; then what tells more rows apart."""
    distinct = table.distinct_values(name) or 0.0
    shared = -popularity.get((table.name, name), 0)
    return (not is_tenant_column(name), shared, -distinct, table.columns[name].number)


def _is_keyable(table: Table, name: str) -> bool:
    column = table.columns.get(name)
    return column is not None and column.width <= WIDEST_KEY_BYTES and not column.type.startswith(_UNORDERED)


def _one_column(either: Either) -> str:
    """The column that all arms compare with a value, where it is the same one."""
    names = {term.column if term.kind in ("eq", "in") else "" for arm in either.arms for term in arm}
    return next(iter(names)) if len(names) == 1 else ""


def _orders(scan: Scan, table: Table, parsed: Parsed, equal: Sequence[str]) -> Iterator[tuple[Key, ...]]:
    for order in scan.orders:
        yield from _trimmed(order, equal, table)
    # An order that an index gives today has no Sort to be read from: the text says it.
    for terms in parsed.orders:
        keys = []
        for term in terms:
            if not alias_matches(scan, term.qualifier, table) or term.column not in table.columns:
                break
            nulls_first = term.descending if term.nulls_first is None else term.nulls_first
            keys.append(order_key(term.column, descending=term.descending, nulls_first=nulls_first))
        yield from _trimmed(tuple(keys), equal, table)
    for group in scan.groups:
        yield from _trimmed(tuple(Key(name) for name in group), equal, table)


def _trimmed(order: Sequence[Key], equal: Sequence[str], table: Table) -> Iterator[tuple[Key, ...]]:
    """Without columns that are held equal: they order nothing."""
    left = tuple(key for key in order if key.column not in equal)
    if left and all(_is_keyable(table, key.column) for key in left):
        yield left[:MOST_KEYS]


def _expressions(terms: Sequence[Term]) -> Iterator[Key]:
    for term in terms:
        if term.expression and term.kind in ("eq", "range", "in"):
            yield Key(expression=term.expression)
        elif term.expression and term.kind == "prefix":
            yield Key(expression=term.expression, opclass="text_pattern_ops")


def _key_lists(wanted: Wanted, table: Table) -> Iterator[tuple[Key, ...]]:
    """Key columns, the likelier ones first."""
    for lead in _leads(wanted):
        fixed = [Key(name) for name in lead]
        among = [Key(name) for name in wanted.among if name not in lead]
        ranges = [Key(name) for name in wanted.ranges if name not in lead]
        for order in wanted.orders:
            tail = [key for key in order if key.column not in lead]
            names = {key.column for key in tail}
            inside = [key for key in (*among, *ranges) if key.column not in names]
            yield from _cut(fixed, tail)
            yield from _cut(fixed, tail, inside)
            yield from _cut(fixed, among[:1], tail)
        yield from _cut(fixed, among)
        for one in ranges:
            yield from _cut(fixed, [one])
            yield from _cut(fixed, among, [one])
            others = [key for key in ranges if key.column != one.column]
            yield from _cut(fixed, among, [one], others)
        for name in wanted.prefixes:
            yield from _cut(fixed, [_pattern_key(table.columns[name])])
        for key in wanted.expressions:
            yield from _cut(fixed, [key])
            yield from _cut([key])
        yield from _cut(fixed)
    for name in (*wanted.equal, *wanted.among):
        yield from _cut([Key(name)])


def _leads(wanted: Wanted) -> Iterator[tuple[str, ...]]:
    """What is held equal, from most to least; each join's column with it, and alone."""
    yield wanted.equal
    for name in wanted.joined:
        yield (*wanted.equal, name)
        yield (name, *wanted.equal)
        yield (name,)
    if wanted.equal:
        yield ()
    if len(wanted.equal) > 1:
        yield wanted.equal[:1]


def _cut(*parts: Sequence[Key]) -> Iterator[tuple[Key, ...]]:
    """The parts as one list, each column once, at most four."""
    keys: dict[tuple[str, str], Key] = {}
    for key in (key for part in parts for key in part):
        keys.setdefault((key.column, key.expression), key)
    if keys:
        yield tuple(keys.values())[:MOST_KEYS]


def _pattern_key(column: Column) -> Key:
    """LIKE 'a%' needs bytes compared, which a linguistic collation does not."""
    if column.sorts_bytewise:
        return Key(column.name)
    is_varchar = column.type.startswith("character varying")
    return Key(column.name, opclass="varchar_pattern_ops" if is_varchar else "text_pattern_ops")


def _with_include(keys: tuple[Key, ...], wanted: Wanted, table: Table) -> Iterator[Index]:
    plain = Index(table.schema, table.name, keys)
    yield plain
    held = {key.column for key in keys}
    rest = tuple(name for name in wanted.needed if name not in held)
    columns = [table.columns[name] for name in rest]
    width = sum(column.width for column in columns)
    is_whole = len(rest) + len(held) >= len(table.columns) or any(key.expression for key in keys)
    if rest and not is_whole and len(rest) <= MOST_INCLUDED and width <= WIDEST_INCLUDE_BYTES:
        yield replace(plain, include=rest)


def _partial(scan: Scan, wanted: Wanted, table: Table, parsed: Parsed) -> list[Index]:
    """Where the code names a rare value, an index of these rows only."""
    found = []
    for term in scan.terms:
        condition = _rare(term, table, parsed)
        if not condition:
            continue
        rest = replace(wanted, equal=tuple(name for name in wanted.equal if name != term.column))
        lists = list(dict.fromkeys(_key_lists(rest, table))) or [(Key(_any_key(table, wanted, term.column)),)]
        for keys in lists[:6]:
            if all(key.column != term.column for key in keys) or len(lists) == 1:
                # What the condition says need not be read from the index.
                needed = tuple(name for name in wanted.needed if name != term.column)
                inside = replace(wanted, needed=needed)
                found += [replace(one, where=(condition,)) for one in _with_include(keys, inside, table)]
    return found


def _rare(term: Term, table: Table, parsed: Parsed) -> str:
    """The condition of a partial index for this term, where the statistics say that few rows meet it."""
    column = table.columns.get(term.column)
    if column is None or is_tenant_column(term.column):
        return ""
    nulls = column.null_fraction
    if term.kind == "null":
        return f"{quoted(term.column)} IS NULL" if nulls is not None and nulls <= RARE_FRACTION else ""
    if term.kind == "not_null":
        is_rare = nulls is not None and 1.0 - nulls <= RARE_FRACTION
        return f"{quoted(term.column)} IS NOT NULL" if is_rare else ""
    is_not = term.kind == "other" and term.operator == "<>"
    if not (term.kind == "eq" or is_not) or not term.value or term.column not in parsed.constants:
        return ""
    found = share_of(column, term.value)
    share = 1.0 - found if is_not and found is not None else found
    is_a_code = 0 < (column.distinct or 0) <= 100
    is_rare = is_a_code and share is not None and share <= RARE_FRACTION
    return f"{quoted(term.column)} {term.operator} {term.value}" if is_rare else ""


def share_of(column: Column, value: str) -> float | None:
    """The share of rows that hold a value, by the statistics of the most common ones."""
    plain = value
    if plain.startswith("CAST("):
        plain = plain.removeprefix("CAST(").rpartition(" AS ")[0]
    plain = plain.strip("'").replace("''", "'")
    if plain in ("true", "false"):
        plain = plain[0]
    if plain in column.common:
        return column.common[plain]
    if not column.common:
        return None
    left = max(0.0, 1.0 - sum(column.common.values()) - (column.null_fraction or 0.0))
    others = max((column.distinct or 0.0) - len(column.common), 1.0)
    return left / others


def _any_key(table: Table, wanted: Wanted, besides: str) -> str:
    """A key for a partial index whose condition says it all: a column that the statement reads."""
    for name in wanted.needed:
        if name != besides and _is_keyable(table, name):
            return name
    return besides


def _brin(wanted: Wanted, table: Table) -> list[Index]:
    """A block range index: tiny, for wide ranges of a column that grows with the table."""
    if table.rows < BRIN_ROWS:
        return []
    return [
        Index(table.schema, table.name, (Key(name),), method="brin")
        for name in wanted.ranges
        if abs(table.columns[name].correlation or 0.0) >= BRIN_CORRELATION
    ]


def _without_twins(indexes: Iterable[Index]) -> list[Index]:
    """Of two that differ in the direction of their last key alone, the descending one: both are read both ways."""
    listed = list(indexes)
    descending = {_columns(one) for one in listed if _is_simple(one) and one.keys[-1].descending}
    return [one for one in listed if not _is_simple(one) or one.keys[-1].descending or _columns(one) not in descending]


def _is_simple(index: Index) -> bool:
    default = all(key.puts_nulls_first == key.descending for key in index.keys)
    return default and not any(key.descending for key in index.keys[:-1])


def _columns(index: Index) -> tuple[object, ...]:
    return (
        tuple((key.column, key.expression, key.opclass) for key in index.keys),
        index.include,
        index.where,
        index.method,
    )


def _exists(index: Index, table: Table) -> bool:
    return any(one.index is not None and covers(one.index, index) for one in table.indexes)


def is_served(index: Index, scan: Scan, table: Table, wanted: Sequence[tuple[Key, ...]]) -> bool:
    """Whether an index that is there answers all that this one would. The planner may still cost this one less, because
    it knows nothing of the order in which an index's later columns lie; the clock does not agree."""
    if index.include or index.where or index.method != "btree":
        return False
    terms, order = matched(index, scan, wanted)
    if not terms and not order:
        return False
    for one in table.indexes:
        if one.index is None or one.index.method != "btree" or one.index.where:
            continue
        held, held_order = matched(one.index, scan, wanted)
        if set(terms) <= set(held) and (not order or held_order):
            return True
    return False


def matched(index: Index, scan: Scan, wanted: Sequence[tuple[Key, ...]]) -> tuple[list[Term], bool]:
    """The terms of a scan that the index's first keys answer, and whether what follows is in an order asked for."""
    terms = [*scan.terms, *scan.joins]
    found: list[Term] = []
    for place, key in enumerate(index.keys):
        mine = [one for one in terms if (one.column == key.column if key.column else one.expression == key.expression)]
        equal = [one for one in mine if one.kind in ("eq", "null", "in")]
        found += equal or [one for one in mine if one.kind in ("range", "prefix")]
        if not equal:
            names = [key.column for key in index.keys[place:]]
            orders = [[one.column for one in order if not _is_equal(one, terms)] for order in wanted]
            return found, any(order and names[: len(order)] == order for order in orders)
    return found, False


def _is_equal(key: Key, terms: Sequence[Term]) -> bool:
    return any(one.column == key.column and one.kind == "eq" and not one.is_outside for one in terms)


def _for_either(scan: Scan, table: Table, wanted: Wanted) -> list[Option]:
    """For `a = 1 OR b = 2`: an index for each arm that has none, read together."""
    found: list[Option] = []
    for either in scan.either:
        if _one_column(either):
            continue
        for lead in dict.fromkeys(((), wanted.equal)):
            arms = [_arm_index(arm, lead, table) for arm in either.arms]
            missing = [one for one in arms if one is not None and not _exists(one, table)]
            if all(arms) and missing:
                apart = [one for one in missing if not any(covers(two, one) for two in missing if two != one)]
                found.append(tuple(dict.fromkeys(apart)))
    return found


def _arm_index(arm: Sequence[Term], lead: Sequence[str], table: Table) -> Index | None:
    equal = [Key(one.column) for one in arm if one.kind in ("eq", "in", "null") and _is_keyable(table, one.column)]
    ranges = [Key(one.column) for one in arm if one.kind == "range" and _is_keyable(table, one.column)]
    patterns = [_pattern_key(table.columns[one.column]) for one in arm if one.kind == "prefix" and one.column]
    expressions = [Key(expression=one.expression) for one in arm if one.expression and one.kind == "eq"]
    if not (equal or ranges or patterns or expressions):
        return None
    keys = next(_cut([Key(name) for name in lead], equal, expressions, (ranges or patterns)[:1]))
    return Index(table.schema, table.name, keys)
