"""Channel configurations (how and as whom a message leaves) and the adapters that hand messages over."""
