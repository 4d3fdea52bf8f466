"""Figure 4: attribution maps of students and standard models."""
