"""What happens where epochs end: reports, learning rates, and the state to resume from."""
