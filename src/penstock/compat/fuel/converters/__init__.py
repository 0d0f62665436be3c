"""What writes files with Fuel's layout: ``base``. The converters of particular data sets are left out."""
