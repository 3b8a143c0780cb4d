"""The subject: PyTorch. The only part of gradcheck that imports torch; a second framework would be a second subject."""
