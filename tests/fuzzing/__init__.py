"""Every reader of what a stranger or a broken disk may have written, given bytes that nobody would write: see docs/fuzzing.md."""
