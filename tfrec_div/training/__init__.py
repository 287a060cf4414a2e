"""Training runs: settings, folder, checkpoints."""
