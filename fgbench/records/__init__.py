"""What is kept of a run: the record, the folder of records, pictures, provenance, and deviations from the recipe."""
