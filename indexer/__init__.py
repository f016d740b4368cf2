"""Raw feed to published snapshot: read, clean, plan, embed, build, gate, publish. Knows nothing of queries or HTTP."""
