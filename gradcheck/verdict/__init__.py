"""Judgement: the subject's numbers against the reference's bounds, graded, in one sentence; and the ledger."""
