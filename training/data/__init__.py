"""Data sets: reading and splitting them, folds, batches, augmentation."""
