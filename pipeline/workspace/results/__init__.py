"""What stages leave for others to read: a model for each file, which writes and reads it.

The name of the file stands beside its model. `docs/json/` has their JSON Schemas, written by
`scripts/json_schemas.py`.
"""
