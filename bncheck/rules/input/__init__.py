"""What feeds the first layers is not what the network was trained on."""
