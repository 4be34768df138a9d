"""Training: stages of gradient descent, their batches, several processes, and the linear SVM."""
