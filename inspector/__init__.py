"""The edge runtime: frames in, durable verdicts out. Never imports torch."""
