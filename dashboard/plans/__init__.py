"""The Plan page: one statement, how PostgreSQL carries it out, what stands out, and which plans it has had."""
