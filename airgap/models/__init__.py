"""What a model writes → blocks, and its drawings → boxes, a file a family. No weights, no torch."""
