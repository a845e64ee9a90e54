"""The application being watched: its tables, its operations, its history and its live traffic.

Nothing but the command line and the tests imports this package.
"""
