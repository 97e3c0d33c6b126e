"""Fine-tuning with Batch Renormalization: data, steps, losses, checkpoints."""
