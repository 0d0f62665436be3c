"""What a loader can say about itself: where time goes, and what to change."""
