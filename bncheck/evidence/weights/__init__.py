"""What the weights of a file were seen to tell."""
