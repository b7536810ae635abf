"""What a run folder says: its members, lineage, code, data, where it came from."""
