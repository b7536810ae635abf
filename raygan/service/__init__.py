"""What users call: train, sample, evaluate, compare, report, verify, plan, doctor."""
