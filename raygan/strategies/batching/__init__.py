"""Several pairs as one batched model: `stack` of networks, `pack` of pairs."""
