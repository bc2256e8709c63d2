"""Where the hippocampi are: coarse network, refinement network, and the decision where the regions go."""
