"""Interactive figures: each file here is one explorer, `course.explorers.frame` is what they share."""
