"""The way across the gap: locked wheels, images, a sealed bundle, and its installation."""
