"""Attribution: how much each base of a sequence contributes to a prediction."""
