"""SavedModels for TensorFlow Serving: signatures, manifest, warm-up."""
