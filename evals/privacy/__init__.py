"""How well personal data is found in what people type: a labelled set in both languages, and the score on it."""
