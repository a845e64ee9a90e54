"""Whether the index advice is right: statements, their hand-written candidates, and what each really brings.

`cluster` is a PostgreSQL of the system's with HypoPG, `ground` its tables and rows, `case` what a statement of the
suite is, `lookups`, `orders`, `shapes`, `joins` and `refusals` the statements, `measuring` builds candidates and takes
times, and `verdicts` holds the advice against them. Written from the rules alone, knowing nothing of how the advice is
made.
"""
