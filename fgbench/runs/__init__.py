"""One run from recipe to record: planning, execution, training, and the executors that do many runs."""
