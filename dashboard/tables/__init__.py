"""Frames become tables: which columns, in which words, and how wide. Text cells are never read as markup."""
