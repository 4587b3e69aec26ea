"""The offline side: data, augmentation, training, evaluation, export and report."""
