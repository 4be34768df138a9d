"""fgbench: does every number printed in a fine-grained recognition paper hold, here, today, and at what cost?"""

__version__ = "0.1.0"
