"""What happens where epochs end: reports, rates, the state to resume from, and what is let go."""
