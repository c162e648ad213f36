"""What stages leave on the disk: folders, records, artifacts."""
