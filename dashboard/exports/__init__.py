"""The room of the page Exports: what is chosen, what would be in the file, getting it, and what was got before."""
