"""What several verbs share: checks of their inputs, and the options of trainings."""
