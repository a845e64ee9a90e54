"""A person's own usage events, from CSV or Parquet, as organizations, users, generations and their ledger rows.

`source` opens the file and hands out its rows (`csv_rows`, `parquet_rows`), `columns` decides which column is which,
`reading` makes an event of a row or says why it cannot (`moments` for times, `values` for words and numbers),
`rejects` keeps what was refused, `loading` brings the rest into a database in one transaction, and `dataset` names
that database and makes it. What is promised: all good rows land or none does, and a row lands once however often
its file is loaded.
"""
