"""The same question asked so that an index on the plain column can answer it: the predicate rewritten in the tree.

Each rule is exact for what it matches, or says what it presumes. The planner is then asked about the rewritten text; a
rewriting that does not help is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pglast import ast, enums
from pglast.parser import ParseError

from queries.performance.advice.parsing import column_of, every, is_a, parse, written

_RANGES = ("<", "<=", ">", ">=")
_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_DAY_FORMATS, _MONTH_FORMATS = ("YYYY-MM-DD",), ("YYYY-MM",)
_CASTABLE = ("integer", "bigint", "smallint", "uuid", "numeric", "date")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A statement rewritten: its text, and each predicate before and after with what was presumed."""

    text: str
    changes: tuple[tuple[str, str], ...]
    presumes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    new: str
    presumes: str = ""


def rewritten(text: str, types: Mapping[str, str]) -> Rewritten | None:
    """The statement with every predicate that hides a column in a function or a cast made plain; None without one.

    `types` are the types of columns, by name, as far as they are the same in all tables read.
    """
    tree = parse(text)
    changes: list[tuple[str, str]] = []
    presumes: list[str] = []
    for node in every(tree):
        for slot in ("whereClause", "havingClause", "quals"):
            clause = getattr(node, slot, None) if slot in tuple(node) else None
            if is_a(clause, ast.Node):
                setattr(node, slot, _clause(clause, types, changes, presumes))
    if not changes:
        return None
    return Rewritten(written(tree), tuple(dict.fromkeys(changes)), tuple(dict.fromkeys(one for one in presumes if one)))


def _clause(node: Any, types: Mapping[str, str], changes: list[tuple[str, str]], presumes: list[str]) -> Any:
    if is_a(node, ast.BoolExpr):
        change = _not_in(node) or _month(node, types)
        if change is None:
            node.args = tuple(_clause(one, types, changes, presumes) for one in node.args)
            return node
    else:
        change = _predicate(node, types) if is_a(node, ast.A_Expr) else None
    if change is None:
        return node
    try:
        new = parse(f"SELECT 1 WHERE ({change.new})").whereClause
    except ParseError:
        return node
    changes.append((written(node), written(new)))
    presumes.append(change.presumes)
    return new


def _predicate(node: Any, types: Mapping[str, str]) -> _Change | None:
    kinds = enums.A_Expr_Kind
    if node.kind in (kinds.AEXPR_BETWEEN,):
        low, high = node.rexpr
        first = _compared(node.lexpr, ">=", low, types)
        last = _compared(node.lexpr, "<=", high, types)
        return _Change(f"{first.new} AND {last.new}", first.presumes) if first and last else None
    if node.kind == kinds.AEXPR_ILIKE and node.name[-1].sval == "~~*":
        return _ilike(node)
    if node.kind != kinds.AEXPR_OP or node.lexpr is None or node.rexpr is None:
        return None
    operator = node.name[-1].sval
    if operator not in _TURNED:
        return None
    return _compared(node.lexpr, operator, node.rexpr, types) or _compared(
        node.rexpr, _TURNED[operator], node.lexpr, types
    )


def _compared(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    """`hidden operator value`, where `hidden` is a function or a cast of a column and `value` holds none."""
    if any(is_a(one, ast.ColumnRef) for one in every(value)) or column_of(hidden) is not None:
        return None
    for rule in _RULES:
        change = rule(hidden, operator, value, types)
        if change is not None:
            return change
    return None


def _date_trunc(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    call = _call(hidden, "date_trunc", 2)
    unit = _text(call[0]) if call else None
    if not call or unit is None or unit.lower() not in _UNITS or column_of(call[1]) is None:
        return None
    unit = unit.lower()
    step = "3 months" if unit == "quarter" else f"1 {unit}"
    type_ = types.get(_name(call[1]), "")
    cast = type_ if type_.startswith("timestamp") else "timestamp"
    start = f"({written(value)})::{cast}"
    return _Change(
        _span(written(call[1]), operator, start, f"{start} + interval '{step}'"), f"the value is the start of a {unit}"
    )


def _to_date(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    inner = _cast_to(hidden, "date") or next(iter(_call(hidden, "date", 1)), None)
    if inner is None or column_of(inner) is None or not types.get(_name(inner), "timestamp").startswith("timestamp"):
        return None
    day = f"({written(value)})::date"
    return _Change(_in_time(inner, operator, day, f"{day} + 1", types))


def _year(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    call = _call(hidden, "extract", 2) or _call(hidden, "date_part", 2)
    if not call or (_text(call[0]) or "").lower() != "year" or column_of(call[1]) is None:
        return None
    year = f"({written(value)})::int"
    new = _in_time(call[1], operator, f"make_date({year}, 1, 1)", f"make_date({year} + 1, 1, 1)", types)
    return _Change(new, "" if _is_whole(value) else "the value is a whole number")


def _month(node: Any, types: Mapping[str, str]) -> _Change | None:
    """`extract(year from column) = 2026 AND extract(month from column) = 2`, beside whatever else must hold."""
    if node.boolop != enums.BoolExprType.AND_EXPR:
        return None
    parts = {place: found for place, one in enumerate(node.args) if (found := _part(one)) is not None}
    for year, (unit, column, value) in parts.items():
        for month, (other, same, number) in parts.items():
            if (unit, other) == ("year", "month") and written(column) == written(same):
                start = f"make_date(({written(value)})::int, ({written(number)})::int, 1)"
                span = _in_time(column, "=", start, f"{start} + interval '1 month'", types)
                rest = [written(one) for place, one in enumerate(node.args) if place not in (year, month)]
                is_sure = _is_whole(value) and _is_whole(number)
                new = " AND ".join([span, *(f"({one})" for one in rest)])
                return _Change(new, "" if is_sure else "the values are a year and a month")
    return None


def _part(node: Any) -> tuple[str, Any, Any] | None:
    """(unit, column, value) of `extract(unit from column) = value`."""
    if not is_a(node, ast.A_Expr) or node.kind != enums.A_Expr_Kind.AEXPR_OP or node.name[-1].sval != "=":
        return None
    for hidden, value in ((node.lexpr, node.rexpr), (node.rexpr, node.lexpr)):
        call = _call(hidden, "extract", 2) or _call(hidden, "date_part", 2)
        unit = (_text(call[0]) or "").lower() if call else ""
        plain = not any(is_a(one, ast.ColumnRef) for one in every(value))
        if unit in ("year", "month") and column_of(call[1]) is not None and plain:
            return unit, call[1], value
    return None


def _to_char(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    call = _call(hidden, "to_char", 2)
    form = _text(call[1]) if call else None
    if not call or form not in (*_DAY_FORMATS, *_MONTH_FORMATS) or column_of(call[0]) is None:
        return None
    start = f"to_date({written(value)}, '{form}')"
    end = f"{start} + 1" if form in _DAY_FORMATS else f"{start} + interval '1 month'"
    return _Change(_in_time(call[0], operator, start, end, types))


def _moved(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    """`column + step > value` is `column > value - step`; `value' - column < step` is `column > value' - step`."""
    del types
    if not is_a(hidden, ast.A_Expr) or hidden.kind != enums.A_Expr_Kind.AEXPR_OP or hidden.lexpr is None:
        return None
    sign = hidden.name[-1].sval
    left, right = hidden.lexpr, hidden.rexpr
    has_columns = [any(is_a(one, ast.ColumnRef) for one in every(side)) for side in (left, right)]
    if sign not in ("+", "-") or all(has_columns) or not any(has_columns):
        return None
    if has_columns[0] and column_of(left) is not None:
        back = "-" if sign == "+" else "+"
        return _Change(f"{written(left)} {operator} ({written(value)}) {back} ({written(right)})")
    if has_columns[1] and column_of(right) is not None:
        if sign == "+":
            return _Change(f"{written(right)} {operator} ({written(value)}) - ({written(left)})")
        return _Change(f"{written(right)} {_TURNED[operator]} ({written(left)}) - ({written(value)})")
    return None


def _scaled(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    """`column / 1000 >= value` is `column >= value * 1000`; a division of integers throws the rest away."""
    if not is_a(hidden, ast.A_Expr) or hidden.kind != enums.A_Expr_Kind.AEXPR_OP or hidden.lexpr is None:
        return None
    sign, column, factor = hidden.name[-1].sval, hidden.lexpr, _bare(hidden.rexpr)
    number = _number(factor)
    if sign != "/" or column_of(column) is None or number is None or number <= 0:
        return None
    name, by, given = written(column), written(hidden.rexpr), f"({written(value)})"
    type_ = types.get(_name(column))
    if type_ is None:
        return None
    is_whole = type_ in ("integer", "bigint", "smallint") and number == int(number)
    if not is_whole or "." in by:
        return _Change(f"{name} {operator} {given} * {by}", "the division does not round")
    return _Change(_span(name, operator, f"{given} * {by}", f"({given} + 1) * {by}"), "the value is above 0")


def _is_whole(node: Any) -> bool:
    return is_a(node, ast.A_Const) and is_a(node.val, ast.Integer)


def _number(node: Any) -> float | None:
    if not is_a(node, ast.A_Const):
        return None
    if is_a(node.val, ast.Integer):
        return float(node.val.ival)
    return float(node.val.fval) if is_a(node.val, ast.Float) else None


def _first_of_two(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    """`coalesce(a, b) >= value`: a is, or there is no a and b is. Each column's own index serves an arm."""
    del types
    if not is_a(hidden, ast.CoalesceExpr) or len(hidden.args) != 2:
        return None
    if any(column_of(one) is None for one in hidden.args):
        return None
    first, second = (written(one) for one in hidden.args)
    given = written(value)
    return _Change(f"({first} {operator} {given} OR ({first} IS NULL AND {second} {operator} {given}))")


def _cast(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    inner = _cast_to(hidden, "text") or _cast_to(hidden, "varchar")
    type_ = types.get(_name(inner), "") if inner is not None and column_of(inner) is not None else ""
    if operator != "=" or inner is None or not type_.startswith(_CASTABLE):
        return None
    return _Change(f"{written(inner)} = ({written(value)})::{type_}", f"the value is a valid {type_}")


def _coalesced(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    """`coalesce(column, a) = b`: the column is b; or nothing, where a is b."""
    del types
    if not is_a(hidden, ast.CoalesceExpr) or len(hidden.args) != 2 or column_of(hidden.args[0]) is None:
        return None
    column, instead = written(hidden.args[0]), hidden.args[1]
    if operator != "=" or not is_a(_bare(instead), ast.A_Const) or not is_a(_bare(value), ast.A_Const):
        return None
    if written(_bare(instead)) == written(_bare(value)):
        return _Change(f"({column} = {written(value)} OR {column} IS NULL)")
    return _Change(f"{column} = {written(value)}")


def _counted(hidden: Any, operator: str, value: Any, types: Mapping[str, str]) -> _Change | None:
    """`(SELECT count(*) ...) > 0` asks whether there is one."""
    del types
    if not is_a(hidden, ast.SubLink) or hidden.subLinkType != enums.SubLinkType.EXPR_SUBLINK:
        return None
    select = hidden.subselect
    call: Any = select.targetList[0].val if select.targetList and len(select.targetList) == 1 else None
    is_count = is_a(call, ast.FuncCall) and call.funcname[-1].sval == "count" and call.agg_star
    plain = not (select.groupClause or select.havingClause or select.limitCount or select.op)
    asks_for_one = (operator, written(value)) in ((">", "0"), (">=", "1"))
    if not (is_count and plain and asks_for_one):
        return None
    select.targetList[0].val = parse("SELECT 1").targetList[0].val
    new = f"EXISTS ({written(select)})"
    select.targetList[0].val = call
    return _Change(new)


_RULES = (*(_date_trunc, _to_date, _year, _to_char, _moved, _scaled, _cast, _coalesced, _first_of_two, _counted),)


def _ilike(node: Any) -> _Change | None:
    pattern = _text(node.rexpr)
    if column_of(node.lexpr) is None or not pattern or pattern[0] in "%_\\":
        return None
    return _Change(
        f"lower({written(node.lexpr)}) LIKE lower({written(node.rexpr)})", "lower() maps these letters one to one"
    )


def _not_in(node: Any) -> _Change | None:
    """`x NOT IN (SELECT y ...)` cannot be an anti-join, because a NULL among y answers nothing at all."""
    if node.boolop != enums.BoolExprType.NOT_EXPR or not is_a(node.args[0], ast.SubLink):
        return None
    link = node.args[0]
    select = link.subselect
    is_in = link.subLinkType == enums.SubLinkType.ANY_SUBLINK and link.operName is None
    if not is_in or _name(link.testexpr) in ("", "value"):
        return None
    if len(select.targetList or ()) != 1 or select.op:
        return None
    return _Change(
        f"NOT EXISTS (SELECT FROM ({written(select)}) AS excluded_rows(value)"
        f" WHERE excluded_rows.value = {written(link.testexpr)})",
        "neither side is NULL, which NOT IN answers with nothing",
    )


def _span(column: str, operator: str, start: str, end: str) -> str:
    """`column` within, before or after the span from `start` up to `end`."""
    return {
        "=": f"{column} >= {start} AND {column} < {end}",
        ">=": f"{column} >= {start}",
        "<": f"{column} < {start}",
        ">": f"{column} >= {end}",
        "<=": f"{column} < {end}",
    }[operator]


def _in_time(column: Any, operator: str, start: str, end: str, types: Mapping[str, str]) -> str:
    """A span whose bounds are dates, as values of the column's own type: PostgreSQL would else turn them into it for
    every row."""
    type_ = types.get(_name(column), "")
    if type_.startswith("timestamp"):
        start, end = f"({start})::{type_}", f"({end})::{type_}"
    return _span(written(column), operator, start, end)


def _call(node: Any, name: str, count: int) -> tuple[Any, ...]:
    if is_a(node, ast.FuncCall) and node.funcname[-1].sval == name and len(node.args or ()) == count:
        return tuple(node.args)
    return ()


def _cast_to(node: Any, type_: str) -> Any:
    if is_a(node, ast.TypeCast) and node.typeName.names[-1].sval == type_ and not node.typeName.arrayBounds:
        return node.arg
    return None


def _bare(node: Any) -> Any:
    while is_a(node, ast.TypeCast):
        node = node.arg
    return node


def _text(node: Any) -> str | None:
    bare = _bare(node)
    return str(bare.val.sval) if is_a(bare, ast.A_Const) and is_a(bare.val, ast.String) else None


def _name(node: Any) -> str:
    found = column_of(node)
    return found[1] if found is not None else ""


def unpaged(text: str) -> str | None:
    """The statement with an OFFSET of nothing, where it has one: what a page by the last row seen would cost."""
    tree = parse(text)
    if not is_a(tree, ast.SelectStmt) or tree.limitOffset is None or tree.limitCount is None:
        return None
    # The parameter stays in use, so that the others keep their numbers.
    offset = f"0 * ({written(tree.limitOffset)})"
    tree.limitOffset = parse(f"SELECT 1 OFFSET {offset}").limitOffset
    return written(tree)
