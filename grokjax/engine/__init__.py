"""Many runs at once: plan, lanes, checkpoint, and the sweep that joins them to the store."""
