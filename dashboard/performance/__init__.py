"""The Query performance page: what the questions cost, what got slower, and why a page waited."""
