"""Files that finance can trust: streamed from one snapshot, never cut, exact, safe to open, with a manifest beside."""
