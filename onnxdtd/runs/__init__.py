"""What all do alike who explain many inputs, or one many times: batches, masks, progress."""
