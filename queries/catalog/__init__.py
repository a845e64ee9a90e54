"""What is asked: one module per subject, each function pure: arguments in, a Query out."""
