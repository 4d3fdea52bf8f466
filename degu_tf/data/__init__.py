"""From files to `Splits`: every source, every released layout, and the tf.data pipeline."""
