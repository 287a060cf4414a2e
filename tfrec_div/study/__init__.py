"""What a run tells people: the report, its charts and its words."""
