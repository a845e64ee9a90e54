"""From somebody's own database to a mapping: what is there, what it most likely means, and why.

`catalog` and `prisma_schema` read what is there, into one shape. `proposing` says which of their tables and columns are
ours, each with a reason and how sure it is, and what must be asked. `answers` holds what a person said. `checking` asks
every page's questions once.
"""
