"""Recommendations measured on orders split by time, beside plain baselines."""
