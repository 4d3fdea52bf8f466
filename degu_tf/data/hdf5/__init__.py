"""HDF5 files: released layouts, splits, profiles, ensemble labels."""
