"""From an ensemble to its labels to a student; opening and evaluating runs."""
