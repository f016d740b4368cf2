"""Making models: what they learn from, and how. Needs torch, and only when called; nothing that answers imports it."""
