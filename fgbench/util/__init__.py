"""The machine: errors, files, downloads, archives, hashes, registries, memory, processes. It knows no vision."""
