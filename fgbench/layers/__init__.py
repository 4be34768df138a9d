"""The arithmetic of the papers, one idea a file."""
