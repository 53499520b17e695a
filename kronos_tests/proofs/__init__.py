"""Long proofs: each module has CASES and run(case)."""
