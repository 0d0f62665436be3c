"""What writes files with Fuel's layout."""
